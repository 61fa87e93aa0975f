# The appliance by Debian's own installer (rows I1 to I8), in VirtualBox or in QEMU:
#
#   ISO -> boot command -> preseed -> first boot -> scripts/install-packages.sh -> export
#
# It stays within what Packer 1.6.6 and the current one both understand: no required_plugins
# block (1.6.6 refuses it; current Packer finds installed plugins by themselves), and what
# Packer has no word for, or not always, is said with vboxmanage and qemuargs. What depends on
# the version of VirtualBox or on this machine comes in variables, from toiplab/builders/packer.

# The machine, as the lab file and toiplab/hardware.py have it
variable "name" { type = string }
variable "memory" { type = number }
variable "cpus" { type = number }
variable "disk" { type = number }
variable "lab_network" { type = string }
variable "forwards" { type = list(string) }

# The installation
variable "iso" { type = string }
variable "iso_sha256" { type = string }
variable "http_directory" { type = string }
variable "boot_arguments" { type = string }
variable "boot_wait" { type = string }
variable "boot_meanwhile" { type = list(string) }
variable "key_interval" { type = string }
variable "ssh_private_key" { type = string }
variable "ssh_timeout" { type = string }

# What goes in, what comes out
variable "stage" { type = string }
variable "output" { type = string }
variable "installed" { type = string }

# What depends on this machine
variable "qemuargs" { type = list(list(string)) }
variable "vboxmanage" { type = list(list(string)) }

source "virtualbox-iso" "toip-lab" {
  # Row V1. VirtualBox 6.1 has no type of its own for Debian 10 and 11
  vm_name       = var.name
  guest_os_type = "Debian_64"
  memory        = var.memory
  cpus          = var.cpus
  headless      = true

  # Row V3: the disk on SATA, the ISO in the optical drive of an IDE controller. TRIM, passed on,
  # gives back what the installation used and freed
  hard_drive_interface     = "sata"
  hard_drive_discard       = true
  hard_drive_nonrotational = true
  disk_size                = var.disk * 1024
  iso_interface            = "ide"
  guest_additions_mode     = "disable"
  virtualbox_version_file  = ""

  vboxmanage = concat([
    # Row V2
    ["modifyvm", "{{ .Name }}", "--boot1", "disk", "--boot2", "dvd", "--boot3", "none", "--boot4", "none"],
    # Rows V4 and V5: NAT, and the network of the phones
    ["modifyvm", "{{ .Name }}", "--nic1", "nat", "--nictype1", "82540EM"],
    ["modifyvm", "{{ .Name }}", "--nic2", "intnet", "--intnet2", var.lab_network, "--nictype2", "82540EM"],
    ["modifyvm", "{{ .Name }}", "--rtcuseutc", "on", "--ioapic", "on", "--vram", "16", "--graphicscontroller", "vmsvga"],
  ], [for options in var.vboxmanage : concat(["modifyvm", "{{ .Name }}"], options)])

  # After the machine is off. The forwards, of which Packer removes only its own, are not there
  # before: no port of this host is needed by a build. Packer takes the drive out with the ISO
  vboxmanage_post = concat([
    ["modifyvm", "{{ .Name }}", "--vrde", "off"],
    ["storageattach", "{{ .Name }}", "--storagectl", "IDE Controller", "--port", "0", "--device", "1", "--type", "dvddrive", "--medium", "emptydrive"],
  ], [for forward in var.forwards : ["modifyvm", "{{ .Name }}", "--natpf1", forward]])

  output_directory = var.output
  format           = "ova"
  # with checksums, and no MAC address that two classes could end up sharing
  export_opts = ["--options", "manifest,nomacs"]

  iso_url                = var.iso
  iso_checksum           = "sha256:${var.iso_sha256}"
  http_directory         = var.http_directory
  http_bind_address      = "127.0.0.1"
  boot_wait              = var.boot_wait
  boot_keygroup_interval = var.key_interval
  boot_command = concat(var.boot_meanwhile, [
    "<esc><wait>",
    "auto url=http://{{ .HTTPIP }}:{{ .HTTPPort }}/preseed.cfg ${var.boot_arguments}",
    "<enter>",
  ])

  ssh_username           = "root"
  ssh_private_key_file   = var.ssh_private_key
  ssh_timeout            = var.ssh_timeout
  ssh_handshake_attempts = 100000
  shutdown_command       = "systemctl poweroff"
  shutdown_timeout       = "10m"
}

source "qemu" "toip-lab" {
  vm_name   = var.name
  memory    = var.memory
  cpus      = var.cpus
  headless  = true
  disk_size = "${var.disk}G"
  format    = "qcow2"
  # VirtualBox's hardware: the disk on AHCI, the adapters in its PCI slots. Packer adds an
  # adapter of its own unless net_device is among them
  net_device      = "e1000"
  qemuargs        = var.qemuargs
  skip_compaction = true

  output_directory = var.output

  iso_url           = var.iso
  iso_checksum      = "sha256:${var.iso_sha256}"
  http_directory    = var.http_directory
  http_bind_address = "127.0.0.1"
  boot_wait         = var.boot_wait
  boot_key_interval = var.key_interval
  boot_command = concat(var.boot_meanwhile, [
    "<esc><wait>",
    "auto url=http://{{ .HTTPIP }}:{{ .HTTPPort }}/preseed.cfg ${var.boot_arguments}",
    "<enter>",
  ])

  ssh_username           = "root"
  ssh_private_key_file   = var.ssh_private_key
  ssh_timeout            = var.ssh_timeout
  ssh_handshake_attempts = 100000
  shutdown_command       = "systemctl poweroff"
  shutdown_timeout       = "10m"
}

build {
  sources = [
    "source.virtualbox-iso.toip-lab",
    "source.qemu.toip-lab",
  ]

  # /run is in memory: nothing of the build stays on the disk
  provisioner "shell" {
    inline = ["mkdir -p /run/toip-lab"]
  }

  provisioner "file" {
    source      = var.stage
    destination = "/run/toip-lab/stage.tar"
  }

  provisioner "shell" {
    script          = "${path.root}/../scripts/install-packages.sh"
    remote_folder   = "/run/toip-lab"
    execute_command = "bash {{ .Path }} /run/toip-lab"
  }

  provisioner "file" {
    direction   = "download"
    source      = "/run/toip-lab/packages"
    destination = var.installed
  }
}
