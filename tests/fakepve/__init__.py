# SPDX-License-Identifier: AGPL-3.0-or-later
"""The tests' double of Proxmox VE, with a port to control it. See LICENSE.md."""
