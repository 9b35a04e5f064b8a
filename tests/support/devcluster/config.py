"""cluster.toml of a development cluster."""

from . import layout


def base(nodes, witness, profile, mirror=False, name="dev"):
    """[cluster], networks, nodes and arbitration; groups are appended by the caller."""
    networks = ["net1", "net2"] + ["mirror"] * mirror
    lines = ["[cluster]", f'name = "{name}"', f'profile = "{profile}"', ""]
    for network in networks:
        lines += ["[[network]]", f'name = "{network}"']
        if network == "mirror":
            lines.append('use = ["mirror"]')
    for node in nodes:
        addresses = ", ".join(f'{n} = "{layout.address(node, n)}"' for n in networks)
        lines += ["", "[[node]]", f'name = "{node}"', f"address = {{ {addresses} }}"]
    lines += ["", "[arbitration]"]
    if witness:
        lines += ['option = "witness"', f'witness = [{{ kind = "server", address = "{layout.address(layout.WITNESS, "net1")}" }}]']
    else:
        lines.append('option = "tie"')
    return "\n".join(lines) + "\n"


def default(nodes, witness, profile, mirror=False):
    """(cluster.toml, scripts) when the caller gives none: the machines as a cluster without groups."""
    return base(nodes, witness, profile, mirror), {}
