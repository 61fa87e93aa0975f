#!/bin/bash
# Turns a Debian system that has the packages into the appliance. Every builder runs this
# one script, as root inside the target, so that they cannot drift apart:
#
#     provision.sh STAGE
#
# STAGE holds what `invoke render` wrote: overlay/ (files by their place on the target) and
# settings (shell assignments, quoted). It is removed at the end.
set -euo pipefail

stage=${1:?usage: provision.sh STAGE}
# shellcheck source=/dev/null
. "$stage/settings"

# Row I8: the packages' own versions of what the overlay is about to replace.
save_pristine() {
    install -d -m 0755 /usr/save
    cp -a --no-clobber /etc/default/isc-dhcp-server /etc/dhcp/dhcpd.conf \
        /etc/ssh/sshd_config /etc/network/interfaces /usr/save/
    if [ ! -e /usr/save/asterisk ]; then cp -a /etc/asterisk /usr/save/asterisk; fi
}

# A file that is there keeps its owner and mode (Debian gives /etc/asterisk to asterisk, 0640).
lay_overlay() {
    local file
    (cd "$stage/overlay" && find . -type f -print0 | sort -z) |
        while IFS= read -r -d '' file; do
            if [ -e "/$file" ]; then
                cat "$stage/overlay/$file" >"/$file"
            else
                install -D -m 0644 "$stage/overlay/$file" "/$file"
            fi
        done
    if [ -f /etc/asterisk/cdr_mysql.conf ]; then
        chown asterisk:asterisk /etc/asterisk/cdr_mysql.conf
    fi
}

# Row H1: the administrator with sudo; root has no password, at most keys.
make_accounts() {
    if ! id "$LOGIN" >/dev/null 2>&1; then
        useradd --create-home --shell /bin/bash "$LOGIN"
    fi
    usermod --comment "$FULL_NAME" --append --groups sudo "$LOGIN"
    chpasswd --encrypted <"$stage/passwords"
    case $ROOT_LOGIN in
        yes) ;;
        *) passwd --lock root >/dev/null ;;
    esac
    authorize "$LOGIN" "/home/$LOGIN" "$SSH_KEYS"
    authorize root /root "$ROOT_KEYS"
}

authorize() {
    local account=$1 home=$2 keys=$3
    if [ -z "$keys" ]; then return; fi
    install -d -m 0700 -o "$account" -g "$account" "$home/.ssh"
    printf '%s\n' "$keys" >"$home/.ssh/authorized_keys"
    chown "$account:$account" "$home/.ssh/authorized_keys"
    chmod 0600 "$home/.ssh/authorized_keys"
}

set_locale() {
    locale-gen --keep-existing >/dev/null
    ln -sf "/usr/share/zoneinfo/$TIMEZONE" /etc/localtime
    # Worked out now, the keyboard's and the font's set-up need not be at the first boot;
    # for which the files it comes from must be older.
    setupcon --force --save-only
    touch --date=2000-01-01 /etc/default/keyboard /etc/default/console-setup
}

# Rows I7, D4, H2.
enable_services() {
    systemctl --quiet reenable asterisk
    systemctl --quiet enable ssh isc-dhcp-server toip-lab-identity toip-lab-nat \
        systemd-timesyncd.timer
    systemctl --quiet disable systemd-timesyncd.service
    if [ -e /etc/systemd/system/toip-lab-cdr.service ]; then
        systemctl --quiet enable toip-lab-cdr
    fi
    # A class's machine must not start downloading, nor hold dpkg's lock, while students work
    # on it. e2scrub looks for LVM at every boot; Debian 10 does not have it yet.
    local unit
    for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service e2scrub_all.timer; do
        if [ -e "/lib/systemd/system/$unit" ]; then systemctl --quiet disable "$unit"; fi
    done
}

# What dpkg was told to leave out, and was there before dpkg knew: mmdebstrap's essential
# packages, or all that Debian's installer brought. The last rule that fits a file decides, as
# for dpkg(1), and find's patterns are dpkg's.
slim() {
    local rules=/etc/dpkg/dpkg.cfg.d/toip-lab rule folders=() unwanted=(-false) kernel
    while IFS= read -r rule; do
        case $rule in
            path-exclude=*) unwanted=('(' "${unwanted[@]}" -o -path "${rule#*=}" ')') ;;
            path-include=*) unwanted=('(' "${unwanted[@]}" ! -path "${rule#*=}" ')') ;;
        esac
    done <"$rules"
    mapfile -t folders <<<"$(sed -n 's,^path-exclude=\(/[^*[]*\)/.*,\1,p' "$rules" | sort -u)"
    find "${folders[@]}" ! -type d "${unwanted[@]}" -delete
    find "${folders[@]}" -mindepth 1 -type d -empty -delete
    for kernel in /lib/modules/*; do depmod "${kernel##*/}"; done
    # Python makes its caches again where root runs it.
    find /usr/lib /usr/share -type d -name __pycache__ -prune -exec rm -r {} +
}

# Row H2: what makes a machine itself is made at its first boot, never shipped.
forget_identity() {
    rm -f /etc/ssh/ssh_host_*
    : >/etc/machine-id
    rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed
    if [ -d /var/lib/dbus ]; then ln -s /etc/machine-id /var/lib/dbus/machine-id; fi
    sed -i -e '/^MY_HOSTID=/d' -e 's/^DAY=.*/DAY="0"/' /etc/popularity-contest.conf
    # a time of day that its package drew by lot
    if [ -e /etc/cron.d/popularity-contest ]; then
        sed -i -E 's/^[0-9]+ [0-9]+ /0 12 /' /etc/cron.d/popularity-contest
    fi
    rm -f /var/lib/dhcp/*.leases /etc/udev/rules.d/70-persistent-net.rules
}

forget_build() {
    apt-get clean
    rm -rf /var/lib/apt/lists/* /tmp/* /var/tmp/*
    rm -f /var/log/*.log /var/log/apt/* /etc/apt/apt.conf.d/99mmdebstrap \
        /var/cache/debconf/*-old /var/lib/dpkg/*-old /etc/passwd- /etc/group- /etc/shadow- \
        /etc/gshadow- /etc/subuid- /etc/subgid-
    rm -rf "$stage"
}

save_pristine
lay_overlay
make_accounts
set_locale
enable_services
slim
forget_identity
forget_build
