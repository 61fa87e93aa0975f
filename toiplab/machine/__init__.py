"""The shipped OVA as a running machine: QEMU with the hardware that its OVF says."""
