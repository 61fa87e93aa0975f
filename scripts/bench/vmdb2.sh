#!/bin/bash
# vmdb2(1): debootstrap into a raw disk through kpartx (device-mapper); GRUB by grub-install.
set -euo pipefail

read -r -a names <<<"$PACKAGES"
{
    cat <<END
steps:
  - mkimg: "{{ output }}"
    size: ${GIB}G
  - mklabel: msdos
    device: "{{ output }}"
  - mkpart: primary
    device: "{{ output }}"
    start: 1M
    end: 100%
    tag: root
  - kpartx: "{{ output }}"
  - mkfs: ext4
    partition: root
  - mount: root
  - debootstrap: $CODENAME
    mirror: $MIRROR
    keyring: $KEYRING
    target: root
    include:
END
    printf '      - %s\n' "${names[@]}"
    cat <<END
  - fstab: root
  - grub: bios
    tag: root
END
} >/bench/bench.vmdb
vmdb2 --output="$IMAGE" --log=/bench/vmdb2.log /bench/bench.vmdb || {
    # its log ends with how it cleaned up; what it died of is the last word of a program it ran
    sed -n 's/.* STDERR: *//p' /bench/vmdb2.log | grep . | sed 's/^/error: /' >&2
    exit 1
}
