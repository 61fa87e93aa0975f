#!/bin/bash
# fai-diskimage(8): debootstrap and apt into a raw disk on a loop device; GRUB by grub-install.
set -euo pipefail

config=/bench/config
mkdir -p "$config"/{class,debconf,disk_config,package_config,scripts/BENCH}
cat >"$config/class/BENCH.var" <<END
FAI_DEBOOTSTRAP="$CODENAME $MIRROR"
FAI_DEBOOTSTRAP_OPTS="--keyring=$KEYRING"
END
# the image's own GRUB does not know what a newer mke2fs turns on
cat >"$config/disk_config/BENCH" <<END
disk_config disk1 disklabel:msdos bootable:1 fstabkey:uuid
primary / 1G- ext4 rw createopts="-O ^metadata_csum_seed,^orphan_file"
END
cp "$KEYRING" "$config/package_config/BENCH.gpg"
printf 'PACKAGES install-norec\n%s\n' "$PACKAGES" >"$config/package_config/BENCH"
cat >"$config/scripts/BENCH/10-grub" <<'END'
#!/bin/bash
set -e
$ROOTCMD grub-install --no-floppy "$BOOT_DEVICE"
$ROOTCMD update-grub
END
chmod +x "$config/scripts/BENCH/10-grub"
echo "deb $MIRROR $CODENAME main" >/etc/fai/apt/sources.list

fai-diskimage --verbose --hostname bench --size "${GIB}G" --class BENCH --cspace "$config" "$IMAGE"
