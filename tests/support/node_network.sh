#!/bin/sh
# A node's network that is only played: node_network.sh FOLDER IFUPDOWN2 COMMAND…, to be run in a
# network and a mount namespace of its own. /etc, /run, /var/lib and /var/tmp are folders in FOLDER.
set -e
folder=$1 ifupdown2=$2
shift 2
mkdir -p "$folder/etc/network/interfaces.d" "$folder/run/network" "$folder/var/lib" \
    "$folder/var/tmp" "$folder/bin"
cp -r "$ifupdown2/etc/network/ifupdown2" "$folder/etc/network/"
cp -r "$ifupdown2/etc/default" "$folder/etc/"
cp -r "$ifupdown2/usr/share/ifupdown2" "$folder/var/lib/"
cp "$folder/var/lib/ifupdown2/__main__.py" "$folder/var/lib/ifupdown2/ifreload"
for each in passwd group nsswitch.conf ld.so.cache; do cp "/etc/$each" "$folder/etc/"; done
mkdir -p "$folder/etc/iproute2/rt_tables.d"
cat >"$folder/bin/ifreload" <<'END'
#!/bin/sh
exec /usr/bin/python3 /var/lib/ifupdown2/ifreload "$@"
END
# Of ping only this much: one echo request to the last argument, two seconds for its reply.
cat >"$folder/bin/ping" <<'END'
#!/usr/bin/python3
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.settimeout(2)
s.connect((sys.argv[-1], 0))
s.send(bytes([8, 0, 0xf7, 0xfd, 0, 1, 0, 1]))
while s.recv(1500)[20]:
    pass
END
chmod 755 "$folder/bin/ifreload" "$folder/bin/ping"
mount -t sysfs sysfs /sys
for each in etc run var/lib var/tmp; do mount --bind "$folder/$each" "/$each"; done
PATH=$folder/bin:$PATH
export PATH
exec "$@"
