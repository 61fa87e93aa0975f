"""Faults that rows V4, V5, N1 to N3, D1 to D4, H1, H2 must see."""

from tests.exam.fault import fault

FAULTS = [
    # V, N
    fault(
        "ip -j addr",
        '"local":"10.0.2.15"',
        '"local":"169.254.7.7"',
        "enp0s3: expected an address of 10.0.2.0/24, saw 169.254.7.7/24; dhclient: bound to",
        "V4 nat_adapter",
    ),
    fault(
        "route",
        "enp0s3",
        "enp0s8",
        "card of the default route: expected enp0s3, saw enp0s8",
        "V4 nat_adapter",
    ),
    fault(
        "ip -j addr",
        '"enp0s3"',
        '"ens3"',
        "network cards: expected enp0s3 enp0s8 lo, saw enp0s8 ens3 lo",
        "V5 adapters",
        "V4 nat_adapter",
    ),
    fault(
        "ip -j addr",
        '"local":"192.168.10.1"',
        '"local":"192.168.10.2"',
        "addresses of enp0s8: expected 192.168.10.1/24, saw 192.168.10.2/24",
        "N1 first_address",
        "N2 every_address",
        "N3 restarted_card",
    ),
    fault(
        "ip -j addr",
        '"prefixlen":28',
        '"prefixlen":24',
        "192.168.10.1/24 192.168.100.17/28, saw 192.168.10.1/24 192.168.100.17/24",
        "N2 every_address",
        "N3 restarted_card",
    ),
    fault(
        "dhcpd.conf",
        "shared-network",
        "group",
        "shared-network in dhcpd.conf: expected 1, saw 0",
        "N2 every_address",
    ),
    fault(
        "type unreachable",
        "unreachable 192.168.10.0/24 metric 9999 \n",
        "",
        "networks kept from enp0s3 while the card is down: expected "
        "192.168.10.0/24 192.168.100.16/28, saw 192.168.100.16/28",
        "N2 every_address",
    ),
    fault(
        "carrier_changes",
        "2",
        "0",
        "times the card went down or up: expected 2, saw 0",
        "N3 restarted_card",
    ),
    fault(
        "is-active ifup@",
        "active",
        "failed",
        "ifup@enp0s8.service after its restart: expected active, saw failed",
        "N3 restarted_card",
    ),
    # D
    fault(
        "/etc/default/isc-dhcp-server",
        'INTERFACESv4="enp0s8"',
        'INTERFACESv4="enp0s3"',
        "INTERFACESv4: expected enp0s8, saw enp0s3",
        "D1 dhcp_cards",
    ),
    fault(
        "/etc/default/isc-dhcp-server",
        "DHCPDv4_CONF=/etc/dhcp/dhcpd.conf",
        "#",
        "DHCPDv4_CONF: expected /etc/dhcp/dhcpd.conf, saw nothing",
        "D1 dhcp_cards",
    ),
    fault(
        "ss -H -a -0 -p",
        '*:enp0s8 * users:(("dhcpd"',
        '*:enp0s3 * users:(("dhcpd"',
        "cards dhcpd serves: expected enp0s8, saw enp0s3",
        "D1 dhcp_cards",
        "N3 restarted_card",
    ),
    fault(
        "dhcpd.conf",
        "authoritative;",
        "not authoritative;",
        "statement authoritative: expected yes, saw no",
        "D2 authoritative",
    ),
    fault(
        "isc-dhcp-server -o cat",
        "Server starting service.",
        "No subnet declaration for enp0s8 (192.168.10.1).",
        "complaints in its journal: expected nothing, saw No subnet declaration for enp0s8",
        "D2 authoritative",
    ),
    *(
        fault(
            "isc-dhcp-server -o cat",
            "Wrote 0 leases to leases file.",
            complaint,
            f"complaints in its journal: expected nothing, saw {complaint}",
            "D2 authoritative",
        )
        for complaint in (
            "Can't open /etc/dhcp/dhcpd.conf: Permission denied",
            "No subnet for enp0s8 (192.168.10.1).",
        )
    ),
    *(
        fault(
            "isc-dhcp-server -o cat",
            old,
            "-- No entries --",
            "'Server starting service' in its journal: expected yes, saw no",
            "D2 authoritative",
        )
        for old in ("Server starting service.", "")
    ),
    fault(
        "dhcpd.conf",
        "192.168.100.27;",
        "192.168.100.30;",
        "range 192.168.100.18 192.168.100.30",
        "D3 dhcp_options",
    ),
    fault(
        "dhcpd.conf",
        "option routers 192.168.100.17",
        "option routers 192.168.100.1",
        "option routers 192.168.100.1 ",
        "D3 dhcp_options",
    ),
    fault(
        "dhcpd.conf",
        "max-lease-time 7200",
        "max-lease-time 600",
        "max-lease-time 600",
        "D3 dhcp_options",
    ),
    fault(
        "dhcpd.conf",
        "subnet 192.168.100.16",
        "subnet 192.168.100.32",
        "saw nothing",
        "D3 dhcp_options",
        "N2 every_address",
    ),
    fault(
        "is-active isc-dhcp-server",
        "active",
        "failed",
        "isc-dhcp-server: expected active, saw failed",
        "D4 dhcp_service",
        "N3 restarted_card",
    ),
    fault(
        "is-enabled isc-dhcp-server",
        "enabled\n",
        "disabled\n",
        "at boot: expected enabled, saw disabled",
        "D4 dhcp_service",
    ),
    # H
    fault(
        "sshd -T",
        "permitrootlogin without-password",
        "permitrootlogin yes",
        "permitrootlogin: expected without-password, saw yes",
        "H1 access",
    ),
    fault(
        "sshd -T",
        "passwordauthentication yes",
        "passwordauthentication no",
        "passwordauthentication: expected yes, saw no",
        "H1 access",
    ),
    fault("sshd -T", "port 22\n", "port 2222\n", "port: expected 22, saw 2222", "H1 access"),
    fault(
        "id -nG", "sudo", "users", "etudiant in the group sudo: expected yes, saw no", "H1 access"
    ),
    fault(
        "sudo -l",
        "(ALL : ALL) ALL",
        "(root) /bin/ls",
        "sudo lets etudiant do all: expected yes, saw no",
        "H1 access",
    ),
    fault(
        "passwd --status root",
        "root L",
        "root P",
        "root's password (L locked, P usable): expected L, saw P",
        "H1 access",
    ),
    fault(
        "~root/.ssh",
        "cat: ",
        "ssh-ed25519 AAAA left-behind\ncat: ",
        "root's keys: expected nothing, saw ssh-ed25519 AAAA left-behind",
        "H1 access",
    ),
    fault(
        "is-active ssh",
        "active",
        "inactive",
        "ssh.service: expected active, saw inactive",
        "H2 own_identity",
    ),
    fault(
        "stat -c '%Y %n'",
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/ssh/ssh_host_dsa_key",
        "host keys sshd wants and lacks: expected nothing, saw /etc/ssh/ssh_host_ed25519_key",
        "H2 own_identity",
    ),
    fault(
        "stat -c '%Y %n'",
        "17",
        "16",
        "host keys older than the first boot: expected nothing, saw /etc/ssh/ssh_host_ecdsa_key",
        "H2 own_identity",
    ),
    fault(
        "ssh-keygen -lf",
        "",
        "(stdin) is not a public key file.\n",
        "fingerprint for each host key: expected 2, saw 0",
        "H2 own_identity",
    ),
    fault(
        "cat /etc/machine-id",
        "",
        "uninitialized\n",
        "machine-id of 32 hexadecimal digits: expected yes, saw no",
        "H2 own_identity",
    ),
    fault(
        "stat -c %Y /etc/machine-id",
        "17",
        "16",
        "machine-id made at the first boot: expected yes, saw no",
        "H2 own_identity",
    ),
]
