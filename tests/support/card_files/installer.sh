#!/bin/sh
# Plays NVIDIA's installer of VERSION: checks itself, unpacks, tells its options, installs.
[ "$1" != --check ] || exit 0
[ "$1 $2" = "--extract-only --target" ] || exit 9
mkdir -p "$3"
cat > "$3/nvidia-installer" <<'END'
#!/bin/sh
[ "$1" != --advanced-options ] || {
    echo "  --no-kernel-modules"; echo "  --skip-module-load"; echo "  --rebuild-initramfs"; exit 0; }
lib=/usr/lib/x86_64-linux-gnu
rm -f $lib/libcuda.so.*
while [ -e /srv/cards/slow ]; do sleep 0.1; done
touch $lib/libcuda.so.VERSION
ln -sf libcuda.so.VERSION $lib/libcuda.so.1
ln -sf /usr/local/sbin/played /usr/bin/nvidia-smi
ln -sf /usr/local/sbin/played /usr/bin/nvidia-modprobe
case "$*" in
*--no-kernel-modules*) echo "VERSION inside" >> /srv/cards/installed ;;
*) echo VERSION > /srv/cards/module; echo "VERSION $*" >> /srv/cards/installed ;;
esac
END
chmod +x "$3/nvidia-installer"
