"""A node whose own name means itself only: ranks on other nodes cannot reach it over gloo; without torch.

Debian and Ubuntu map a machine's own name to 127.0.1.1 in ``/etc/hosts``. gloo listens on the address of that name, unless
``GLOO_SOCKET_IFNAME`` names a network interface.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from data_prep.errors import ConfigError

VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
_SIOCGIFADDR = 0x8915


def check_node_name(master: str) -> None:
    """Check that other nodes can reach this one; ``master`` is the name of rank 0's.

    Raises:
        ConfigError: they cannot: this node's name is its own address, while rank 0's is another one.
    """
    own = address_of(socket.gethostname())
    if VARIABLES[0] in os.environ or not is_loopback(own) or is_loopback(address_of(master) or own):
        return
    raise ConfigError(loopback_sentence(socket.gethostname(), str(own), interfaces()))


def loopback_sentence(node: str, address: str, found: dict[str, str]) -> str:
    """What is wrong with a node's name, and what to do."""
    named = ", ".join(f"{name} ({where})" for name, where in found.items()) or "none with an address"
    return (
        f"node {node} knows itself as {address}, where ranks on other nodes cannot reach it: name the network interface"
        f" between the nodes, with network_interface in cluster.toml, --network-interface, or {' and '.join(VARIABLES)};"
        f" it has {named}"
    )


def address_of(name: str) -> str | None:
    """The IPv4 address of a name on this node; None if it has none."""
    try:
        return socket.gethostbyname(name)
    except OSError:
        return None


def is_loopback(address: str | None) -> bool:
    """Whether an address means the node itself."""
    return address is not None and address.startswith("127.")


def interfaces() -> dict[str, str]:
    """This node's network interfaces with an IPv4 address, without the loopback."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(any_socket.fileno(), _SIOCGIFADDR, request)
            except OSError:  # it has no address
                continue
            found[name] = socket.inet_ntoa(answer[20:24])
    return {name: address for name, address in found.items() if not is_loopback(address)}
