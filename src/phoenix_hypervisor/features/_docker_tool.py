"""The command `phoenix-stack` in a guest: the state of a stack, and compose with its files."""

ETC = "/etc/phoenix/stacks"
TOOL = "/usr/local/bin/phoenix-stack"
NOTE = "# Made by Phoenix; changes made by hand are overwritten.\n"

_INSPECT = (
    '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}}'
    " {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.State.ExitCode}}"
    " {{.HostConfig.RestartPolicy.Name}}. {{.RestartCount}} {{.ID}}"
)
"""Of a container: service, state, health, exit status, restart policy, restarts, id."""

TOOL_TEXT = (
    "#!/bin/sh\n"
    + NOTE
    + f"etc={ETC}\ninspect='{_INSPECT}'\n"
    + r"""# phoenix-stack PROJECT healthy    0: all services are up; 1: one is not; 2: not yet
# phoenix-stack PROJECT troubles   the last words of those that are not up, or were not
# phoenix-stack PROJECT ...        docker compose, with this stack's files and variables
set -u
name=${1:-}
home=$etc/$name
if [ -z "$name" ] || [ ! -x "$home/compose" ]; then
    echo "there is no stack '$name' here; stacks: $(ls "$etc" 2>/dev/null | tr '\n' ' ')" >&2
    exit 64
fi
shift

states() {
    ids=$(docker ps --all --quiet --no-trunc \
        --filter "label=com.docker.compose.project=$name" \
        --filter label=com.docker.compose.oneoff=False) || return 1
    [ -z "$ids" ] || docker inspect --format "$inspect" $ids
}

# Lines of: verdict, service, id, state in words
judge() {
    said=$(states) || return 1
    echo "$said" | while read -r service status health code policy restarts id; do
        [ -n "$service" ] || continue
        verdict=bad
        case $status:$health in
            running:healthy|running:-) verdict=ok ;;
            running:starting|created:*) verdict=wait ;;
            restarting:*) [ "$restarts" -ge 3 ] || verdict=wait ;;
            exited:*) case $code:$policy in 0:.|0:no.|0:on-failure.) verdict=ok ;; esac ;;
        esac
        [ "$health" = - ] || status="$status, $health"
        case $status in exited*) status="exited with $code" ;; esac
        [ "$restarts" = 0 ] || status="$status, restarted $restarts times"
        echo "$verdict $service $id $status"
    done
    while read -r wanted; do
        echo "$said" | cut -d' ' -f1 | grep -qxF -- "$wanted" ||
            echo "bad $wanted - no container"
    done < "$home/services"
}

case ${1:-} in
healthy)
    found=$(judge) || exit 1
    echo "$found" | while read -r verdict service id state; do
        [ -z "$service" ] || echo "$service: $state"
    done
    if echo "$found" | grep -q '^bad '; then exit 1; fi
    if echo "$found" | grep -q '^wait '; then exit 2; fi
    ;;
troubles)
    judge | while read -r verdict service id state; do
        case $verdict:$id:$state in
            *:-:*) continue ;;
            ok:*restarted*) ;;
            ok:*) continue ;;
        esac
        echo "--- $service: $state; its last words:"
        docker logs --tail 15 "$id" 2>&1
    done
    ;;
*) exec "$home/compose" "$@" ;;
esac
"""
)
"""A POSIX shell script. A service that ran once and ended with 0 counts as up."""
