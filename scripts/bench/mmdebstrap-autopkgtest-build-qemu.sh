#!/bin/bash
# mmdebstrap-autopkgtest-build-qemu(1): mmdebstrap into ext4 into a raw disk that boots by EFI.
# It takes no package list; a script that it runs inside installs the rest.
set -euo pipefail

cat >/bench/install.sh <<END
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get install --yes --no-install-recommends $PACKAGES
END
# Inside the image there is no key of the repository, and autopkgtest's own set-up, which would ask
# Debian's mirrors as well, asks it again: it is trusted by its entry, and the only one.
export AUTOPKGTEST_KEEP_APT_SOURCES=1
mmdebstrap-autopkgtest-build-qemu --boot=efi --script=/bench/install.sh --size="${GIB}G" \
    --mirror="deb [trusted=yes] $MIRROR $CODENAME main" "$CODENAME" "$IMAGE"
