"""The Proxmox VE API's client: requests, logins, tasks, and its texts as our errors.

It knows nothing of guests. Source: the API viewer of Proxmox VE and the sources of
pve-http-server, pve-access-control, pve-guest-common, pve-container and qemu-server.
"""
