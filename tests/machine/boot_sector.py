"""Boot sectors: guests of a few bytes, for real QEMU."""

# 16-bit code that waits until COM1 takes a byte, and gives it the one that follows.
PUT = bytes.fromhex("ba fd 03  ec  a8 20  74 fb  ba f8 03  b0")
OUT = bytes.fromhex("ee")
HALT = bytes.fromhex("fa f4")
POWER_OFF = bytes.fromhex("ba 04 06  b8 00 20  ef")  # the PIIX4's PM1 control, as SeaBIOS sets it


def puts(text):
    return b"".join(PUT + bytes((byte,)) + OUT for byte in text.encode())


def repeated(character, times):
    put = puts(character)
    return b"\xb9" + times.to_bytes(2, "little") + put + bytes((0xE2, 256 - len(put) - 2))
