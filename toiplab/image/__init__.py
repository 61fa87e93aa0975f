"""The artifact: a disk, its streamOptimized VMDK, the OVF that describes it, the OVA."""
