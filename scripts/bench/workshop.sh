#!/bin/bash
# Runs a recipe of the benchmark in the workshop: a Debian of its own, with the tools that
# the recipes call. Called in a mount and a process namespace (unshare), as root, so that
# mounts and processes go when it ends.
#
#     workshop.sh ROOT FOLDER NAME=VALUE...
#
# ROOT    the workshop's root file system
# FOLDER  holds recipe.sh and what it reads; is /bench inside, where the image is made
# NAME…   the recipe's whole environment, but for PATH, HOME and LC_ALL
set -euo pipefail

root=$1 folder=$2
shift 2

mount --make-rprivate /
mount --bind "$root" "$root" # mkosi wants its / to be a mount
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount --bind "$folder" "$root/bench"
cd "$root"
pivot_root . mnt
umount --lazy mnt
cd /
status=0
env --ignore-environment HOME=/root LC_ALL=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "$@" bash /bench/recipe.sh || status=$?

# A tool that fails may leave its loop devices attached, which no namespace ends.
for image in /bench/*.raw; do
    [[ -e $image ]] || continue
    losetup --noheadings --output NAME --associated "$image" | xargs --no-run-if-empty losetup --detach
done
exit "$status"
