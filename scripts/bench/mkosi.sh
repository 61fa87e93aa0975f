#!/bin/bash
# mkosi(1): apt in its own sandbox, systemd-repart for the disk, GRUB for BIOS. The image's
# initramfs is the one that its packages make; mkosi's own would want packages of its own.
set -euo pipefail

read -r -a names <<<"$PACKAGES"
cat >/bench/mkosi.conf <<END
[Distribution]
Distribution=debian
Release=$CODENAME
Architecture=x86-64
LocalMirror=$MIRROR
RepositoryKeyCheck=no

[Output]
Format=disk
Output=$(basename "$IMAGE" .raw)
OutputDirectory=/bench

[Content]
Packages=
$(printf '    %s\n' "${names[@]}")
Bootable=yes
Bootloader=none
BiosBootloader=grub
Environment=INITRD=yes
END
cat >/bench/mkosi.postinst <<'END'
#!/bin/sh
set -e
mkdir -p "$ARTIFACTDIR/io.mkosi.initrd"
cp "$BUILDROOT"/boot/initrd.img-* "$ARTIFACTDIR/io.mkosi.initrd/"
END
chmod +x /bench/mkosi.postinst
cd /bench
mkosi --force build
