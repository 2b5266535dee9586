#!/bin/bash
# `make down`: removes all that `make up` made in Incus (or in the simulation), and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh
folder=examples/quickstart

# Each image that Phoenix made. One that also has a name of somebody else's loses ours only.
remove_images() {
    local aliases image names
    aliases=$(incus image alias list --project default --format csv | cut -d, -f1,2)
    for image in $(sed -n 's:^phoenix/.*,::p' <<<"$aliases" | sort -u); do
        names=$(sed -n "s:,$image\$::p" <<<"$aliases")
        if grep -qv '^phoenix/' <<<"$names"; then
            grep '^phoenix/' <<<"$names" | xargs -n 1 incus image alias delete --project default
        else
            incus image delete --project default "$image"
        fi
        say "removed the image" $names
    done
}

[ -x .venv/bin/phoenix ] || { say "nothing is installed here, so nothing is to be removed"; exit 0; }
state=$PWD/.phoenix/sim.json
if [ -f "$state" ]; then
    PHOENIX_SIM_STATE="$state" .venv/bin/phoenix --dir "$folder" --on sim destroy --all --yes
    rm -f "$state"
fi
command -v incus >/dev/null || exit 0
[ -z "$(why_no_containers)" ] || exit 0
lab/incus.sh start
.venv/bin/phoenix --dir "$folder" --on incus destroy --all --yes

# The images are shared by all stacks of this machine, so they go with the last guest. Tests that
# run now (their projects are called phxt…) are about to make guests of them.
projects=$(incus query /1.0/projects)
guests=$(incus query '/1.0/instances?recursion=1&all-projects=true')
if grep -q '"/1.0/projects/phxt' <<<"$projects" || grep -q '"user.phoenix.stack"' <<<"$guests"; then
    say "other guests of Phoenix are here, so its images are kept"
else
    remove_images
fi
