"""The shipped appliance as a running machine under QEMU.

``ports`` and ``accelerator`` look at the host, ``commandline`` says what QEMU is given,
``qemu`` runs it, ``qmp`` and ``console`` talk to it, ``shell`` runs commands in the guest;
``machine`` brings them together, and ``interactive`` hands the console to a person.
"""
