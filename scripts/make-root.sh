#!/bin/bash
# The lab's own layer of the direct builder: a Debian with its packages becomes the root
# file system of the appliance. Runs inside `mmdebstrap --unshare-helper`, where an
# ordinary user is root of a user namespace and mounts vanish with the process.
#
#     FOLDER/make-root.sh FOLDER STAGE_FD IMAGE_FD FACTS_FD <packages.tar
#
# FOLDER    holds this script and mke2fs.conf, on a disk with room for the unpacked system
# STAGE_FD  a tar to read: stage/ for provision.sh, direct/ with grub.cfg and fstab
# IMAGE_FD  the ext4 image, opened for writing and of its full size
# FACTS_FD  a tar to write, of what the caller needs from inside: boot.img, core.img
#
# Environment: SOURCE_DATE_EPOCH (seconds), FS_UUID, both decided by what goes in.
set -euo pipefail
umask 022

folder=$1 stage_fd=$2 image_fd=$3 facts_fd=$4
root=$folder/root
mkdir "$root"

enter() { chroot "$root" "$@"; }

# No user namespace may make device nodes, and the booted system's come from devtmpfs.
tar --extract --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' --directory "$root"
mount -t proc proc "$root/proc"
devices=(null zero full random urandom tty)
for device in "${devices[@]}"; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

mkdir "$root/toip-lab"
tar --extract --no-same-owner --directory "$root/toip-lab" <&"$stage_fd"
enter /bin/bash /toip-lab/stage/provision.sh /toip-lab/stage

# Row I4: what grub-install would put on the disk.
facts=$folder/facts
mkdir "$facts"
install -d "$root/boot/grub/i386-pc"
cp "$root"/usr/lib/grub/i386-pc/*.mod "$root"/usr/lib/grub/i386-pc/*.lst "$root/boot/grub/i386-pc/"
cp "$root/usr/lib/grub/i386-pc/boot.img" "$facts/"
cp "$root/toip-lab/direct/grub.cfg" "$root/boot/grub/grub.cfg"
cp "$root/toip-lab/direct/fstab" "$root/etc/fstab"
enter grub-mkimage --format=i386-pc --prefix='(hd0,msdos1)/boot/grub' --output=/toip-lab/core.img \
    biosdisk part_msdos ext2 normal linux search search_fs_uuid configfile echo
cp "$root/toip-lab/core.img" "$facts/"
rm -rf "$root/toip-lab"

for device in "${devices[@]}"; do
    umount "$root/dev/$device"
    rm "$root/dev/$device"
done
umount "$root/proc"
find "$root" -xdev -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

MKE2FS_CONFIG=$folder/mke2fs.conf E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH \
    mke2fs -q -F -t ext4 -U "$FS_UUID" -L toip-lab -d "$root" \
    -E "hash_seed=$FS_UUID,root_owner=0:0,lazy_itable_init=1" "/dev/fd/$image_fd"

tar --create --directory "$facts" boot.img core.img >&"$facts_fd"
