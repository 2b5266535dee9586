"""Root on a node: for the few things that Proxmox VE's API does not offer, or not to a token.

`channel` keeps shells on the nodes of a cluster, `ways` and `ssh` open them; `guest_file`,
`folders` and `inside` are what they are used for. Whatever used root is listed in `Used`.
"""
