#!/bin/bash
# The image to compare with: the appliance's packages as Debian installs and configures them,
# and no more than it takes to boot and to answer a SIP request. Runs where provision.sh does,
# in its place:
#
#     plain.sh STAGE
set -euo pipefail

stage=${1:?usage: plain.sh STAGE}

# As Debian's installer writes it
cat >/etc/network/interfaces <<EOF
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

allow-hotplug enp0s3
iface enp0s3 inet dhcp
EOF
echo debian >/etc/hostname
printf '127.0.0.1\tlocalhost\n127.0.1.1\tdebian\n' >/etc/hosts
rm -rf "$stage"
