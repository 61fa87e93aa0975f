"""The builders that use Packer: Debian's own installer, in QEMU or in VirtualBox.

``build`` tells the story; ``client`` is the only place that knows python-packer, ``boot``
and ``installer`` know Debian's installer, ``qemu`` and ``virtualbox`` their hypervisors.
"""
