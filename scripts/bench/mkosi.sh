#!/bin/bash
# mkosi(1): apt in its own sandbox, systemd-repart for the disk, GRUB for BIOS.
set -euo pipefail

read -r -a names <<<"$PACKAGES"
cat >/work/mkosi.conf <<END
[Distribution]
Distribution=debian
Release=$CODENAME
Architecture=x86-64
LocalMirror=$MIRROR
RepositoryKeyCheck=no

[Output]
Format=disk
Output=$(basename "$IMAGE" .raw)
OutputDirectory=/work

[Content]
Packages=
$(printf '    %s\n' "${names[@]}")
Bootable=yes
Bootloader=none
BiosBootloader=grub
END
cd /work
mkosi --force build
