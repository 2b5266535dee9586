"""Has Nginx take what its files say now, without losing a request."""

# A reload returns before it is done: what follows must not meet a worker of the old configuration.
# It also succeeds where the running Nginx then refuses what `nginx -t` took, such as a zone of
# shared memory that is to be another: the old workers go on.
ACCEPT = """\
nginx -t
if systemctl is-active --quiet nginx; then
    main=$(cat /run/nginx.pid)
    before=$(cat /proc/$main/task/$main/children)
    systemctl reload nginx
    left=200
    for worker in $before; do
        while :; do
            state=$(tr '\\0' ' ' < /proc/$worker/cmdline 2>/dev/null || echo gone)
            case $state in *'shutting down'*|gone|'') break ;; esac
            if [ $left -eq 0 ]; then
                echo 'The running nginx keeps its old configuration. Its log says:' >&2
                grep -F '[emerg]' /var/log/nginx/error.log | tail -n 1 >&2
                exit 1
            fi
            left=$((left - 1))
            sleep 0.05
        done
    done
fi
"""
