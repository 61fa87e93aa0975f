"""The lab network: adapter 2 of the machine, and phones, on a bridge that leads nowhere.

``network`` is where a story begins; ``phone`` and ``dhcp`` are what is plugged in, and
``capture`` keeps what went over the bridge. They are made of ``namespaces`` and
``programs``, which the kernel takes away with this process; ``preconditions`` tells
beforehand what the host lacks. ``tap`` and ``record`` are run by themselves inside.
"""
