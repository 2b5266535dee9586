#!/bin/bash
# The old way in, kept for fingers and scripts that know it: maps the old flags onto `phoenix`.
set -euo pipefail

usage() {
    cat <<'TEXT'
phoenix_orchestrator.sh: the old flags, mapped onto `phoenix`

  ID…                    phoenix apply --yes --target ID…
  ID… --dry-run          phoenix plan --target ID…
  ID… --reconfigure      phoenix apply --yes --target ID… --reconfigure ID…
  --delete ID…           phoenix destroy --yes ID…
  --LetsGo               phoenix apply --yes
  --smoke-test           phoenix check
  --setup-hypervisor     phoenix host apply --yes
    … --dry-run          phoenix host plan
    … --wipe-disks       no longer for all disks at once: each is named by its serial number,
                         phoenix host apply --wipe-disks SERIAL
  --test SUITE           (not built yet)

PHOENIX_DIR names the folder with the files; else it is the current one.
TEXT
}

not_built() {
    echo "phoenix_orchestrator.sh: $1 is not built yet" >&2
    exit 64
}

wrong() {
    echo "phoenix_orchestrator.sh: $1" >&2
    usage >&2
    exit 64
}

here=$(dirname "$(readlink -f "$0")")
phoenix=$here/.venv/bin/phoenix
[ -x "$phoenix" ] || phoenix=$(command -v phoenix) || {
    echo "phoenix_orchestrator.sh: phoenix is not installed; run \`make up\` or \`lab/venv.sh\` in $here" >&2
    exit 1
}

ids=() mode=apply dry_run=no everything=no
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=yes ;;
        --reconfigure) mode=reconfigure ;;
        --delete) mode=delete ;;
        --LetsGo) everything=yes ;;
        --smoke-test) mode=check ;;
        --setup-hypervisor) mode=host ;;
        --wipe-disks)
            wrong "--wipe-disks names no disk: \`phoenix host plan\` shows what is on each, and
\`phoenix host apply --wipe-disks SERIAL\` destroys what is on that one" ;;
        --test) not_built "$1" ;;
        -h | --help) usage; exit 0 ;;
        -*) wrong "unknown flag $1" ;;
        *) [[ $1 =~ ^[0-9]+$ ]] || wrong "“$1” is no id"; ids+=("$1") ;;
    esac
    shift
done

targets=() again=()
for id in "${ids[@]}"; do
    targets+=(--target "$id")
    again+=(--reconfigure "$id")
done
if [ $everything = yes ] && [ ${#ids[@]} -gt 0 ]; then
    wrong "--LetsGo is for everything: name no ids with it"
fi
if [ $everything = yes ] && [ $mode = reconfigure ]; then
    wrong "--reconfigure takes ids; with --LetsGo it has none"
fi
if [ $mode = host ]; then
    [ ${#ids[@]} = 0 ] && [ $everything = no ] || wrong "--setup-hypervisor takes no ids"
    [ $dry_run = no ] || exec "$phoenix" host plan
    exec "$phoenix" host apply --yes
fi
if [ "$mode" != check ] && [ ${#ids[@]} = 0 ] && [ $everything = no ]; then
    wrong "name an id, or give --LetsGo for everything"
fi

case $mode in
    check) exec "$phoenix" check "${ids[@]}" ;;
    delete)
        [ $dry_run = no ] || not_built "--delete with --dry-run"
        [ ${#ids[@]} -gt 0 ] || wrong "--delete needs an id"
        exec "$phoenix" destroy --yes "${ids[@]}" ;;
    apply) again=() ;;
esac
if [ $dry_run = yes ]; then exec "$phoenix" plan "${targets[@]}" "${again[@]}"; fi
exec "$phoenix" apply --yes "${targets[@]}" "${again[@]}"
