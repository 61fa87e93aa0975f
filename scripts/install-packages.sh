#!/bin/bash
# Debian as its installer leaves it becomes the appliance: the packages, then provision.sh.
# Runs as root inside the target, after the first boot, for the builders that use Packer:
#
#     install-packages.sh FOLDER
#
# FOLDER, in memory, holds stage.tar and is given `packages`, the list of what is installed:
#   stage/ for provision.sh   early/      files that come before the packages
#   packages.cfg  answers     packages    name=version of every package of the appliance
#   sources.list  of the build            preferences  pins of the build
# Lines that begin with "toip-lab:" name what is going on; the builder shows them.
set -euo pipefail

folder=${1:?usage: install-packages.sh FOLDER}
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
readonly BUILD=toip-lab-build  # what the build lays under /etc/apt and /etc/dpkg, and removes

phase() {
    echo "toip-lab: $*"
}

prepare() {
    tar --extract --no-same-owner --file "$folder/stage.tar" --directory "$folder"
    cp -r "$folder/early/." /
    chmod -R u=rwX,go=rX /etc/dpkg/dpkg.cfg.d /etc/initramfs-tools /usr/share/initramfs-tools
    rm -f /etc/initramfs-tools/conf.d/driver-policy  # the installer's; the lab's has its own
    echo force-unsafe-io >"/etc/dpkg/dpkg.cfg.d/$BUILD"
    cp "$folder/sources.list" /etc/apt/sources.list
    cp "$folder/preferences" "/etc/apt/preferences.d/$BUILD"
    # What apt must know of an ended release, before it reads its lists
    if [ -d "$folder/stage/overlay/etc/apt/apt.conf.d" ]; then
        install -m 0644 -t /etc/apt/apt.conf.d "$folder"/stage/overlay/etc/apt/apt.conf.d/*
    fi
    # No service starts before the appliance's own boot: none of them leaves anything behind.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 0755 /usr/sbin/policy-rc.d
    # An upgraded grub-pc still has to put itself on the disk: its answers come at the end.
    grep -v '^grub-pc ' "$folder/packages.cfg" | debconf-set-selections
    # The kernel that is running may be replaced; this machine is switched off before long.
    echo linux-base linux-base/removing-running-kernel boolean false | debconf-set-selections
}

# Row I5: every package at the version that was chosen for this build, and no other package.
install_packages() {
    local wanted=() extra=()
    mapfile -t wanted <"$folder/packages"
    apt-get --quiet=2 update
    apt-get --quiet --yes --no-install-recommends --allow-downgrades \
        --option Dpkg::Use-Pty=0 install "${wanted[@]}"
    mapfile -t extra < <(comm -13 <(sed 's/=.*//' "$folder/packages" | sort) \
        <(dpkg-query --show --showformat='${Package}\n' | sort))
    phase "Remove what only the installer needed"
    if [ ${#extra[@]} -gt 0 ]; then
        apt-get --quiet --yes --option Dpkg::Use-Pty=0 purge "${extra[@]}"
    fi
    # What was removed without its configuration
    dpkg-query --show --showformat='${db:Status-Abbrev} ${Package}\n' |
        sed -n 's/^rc  //p' | xargs --no-run-if-empty dpkg --purge
}

# What the installer noted down for itself, and the build for its own use.
forget_installation() {
    rm -rf /var/log/installer /media/cdrom*
    rm -f /usr/sbin/policy-rc.d "/etc/dpkg/dpkg.cfg.d/$BUILD" "/etc/apt/preferences.d/$BUILD" \
        /etc/apt/apt.conf /etc/apt/apt.conf.d/00CDMountPoint \
        /etc/apt/apt.conf.d/00InstallRecommends /etc/apt/apt.conf.d/00trustcdrom \
        /etc/apt/sources.list~ /etc/fstab.orig
    sed -i '\,^/dev/sr0,d' /etc/fstab
    rm -rf /root/.ssh
}

# The last writes: nothing of this boot stays, and freed blocks go back to the hypervisor.
fall_silent() {
    systemctl stop rsyslog systemd-random-seed 2>/dev/null || true
    rm -f /var/lib/systemd/random-seed /var/lib/dhcp/*.leases
    find /var/log -type f -exec truncate --size=0 {} +
    rm -rf /var/log/journal
    sync
    fstrim / || true  # a disk without TRIM only makes a larger OVA
}

phase "Read the package lists"
prepare
phase "Install the packages"
install_packages
phase "Make it the appliance: overlay, accounts, services"
forget_installation
bash "$folder/stage/provision.sh" "$folder/stage"
phase "Make its initramfs and GRUB's menu"
debconf-set-selections <"$folder/packages.cfg"
update-initramfs -u -k all
update-grub
dpkg-query --show --showformat='${Package}=${Version}\n' | sort >"$folder/packages"
phase "Tidy up"
fall_silent
