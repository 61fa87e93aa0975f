#!/bin/bash
# mmdebstrap-autopkgtest-build-qemu(1): mmdebstrap into ext4 into a raw disk that boots by EFI.
# It takes no package list; a script that it runs inside installs the rest.
set -euo pipefail

cat >/bench/install.sh <<END
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get install --yes --no-install-recommends $PACKAGES
END
cp "$KEYRING" /etc/apt/trusted.gpg.d/toip-lab-bench.gpg
mmdebstrap-autopkgtest-build-qemu --boot=efi --mirror="$MIRROR" --keyring="$KEYRING" \
    --script=/bench/install.sh --size="${GIB}G" "$CODENAME" "$IMAGE"
