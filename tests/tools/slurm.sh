#!/usr/bin/env bash
# A SLURM cluster of two nodes on this one host, for tests, as root, on Debian:
# slurm.sh start|stop|status, and lose|find left|right for a node that dies and comes back.
# Takes SLURM_ROOT (a folder of its own; default: where the running one lies, else /tmp/boldreel-slurm); leaves the
# controller, two node daemons and munge running, each node with half of the processors and memory and one
# pretended GPU, and the queues "main" and "urgent", of which the second preempts the first. Ends with 3 where no
# cluster can be had.
set -euo pipefail

# A cluster of this script that still runs, or was left by a test that was killed.
left=$(dirname "$(readlink /etc/slurm/slurm.conf 2>/dev/null || echo ./none)")
if ! grep -qs "^ClusterName=boldreel" "$left/slurm.conf"; then left=; fi
root=${SLURM_ROOT:-${left:-/tmp/boldreel-slurm}}
config=$root/slurm.conf
nodes=(left right)

fail() { echo "error: $*" >&2; exit 1; }

# There can be no cluster here: 3 tells it from a fault.
give_up() { echo "error: $*" >&2; exit 3; }

install_packages() {
    if command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null; then return; fi
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge; } >/dev/null
    then give_up "SLURM is not here and cannot be installed; install slurmctld, slurmd, slurm-client and munge"; fi
}

# Munge vouches for who sends a message; its folders must belong to its own user.
start_munge() {
    if munge -n 2>/dev/null | unmunge >/dev/null 2>&1; then return; fi
    if [ ! -s /etc/munge/munge.key ]; then head -c 1024 /dev/urandom > /etc/munge/munge.key; fi
    chown munge: /etc/munge/munge.key
    chmod 400 /etc/munge/munge.key
    for folder in /run/munge /var/log/munge /var/lib/munge; do install -d -o munge -g munge -m 0755 "$folder"; done
    runuser -u munge -- munged --force || give_up "munge does not start"
    wait_for "munge" "munge -n | unmunge"
}

wait_for() {
    for _ in $(seq 100); do
        if bash -c "$2" >/dev/null 2>&1; then return; fi
        sleep 0.2
    done
    for log in "$root"/log/*; do tail -n 5 "$log" >&2; done
    fail "$1 does not answer"
}

write_config() {
    mkdir -p "$root/log" "$root/run" "$root/controller"
    local host cores memory port=21800 node
    host=$(hostname -s)
    cores=$(( $(nproc) / 2 > 0 ? $(nproc) / 2 : 1 ))
    memory=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.45)}' /proc/meminfo)
    {
        echo "ClusterName=boldreel"
        echo "SlurmctldHost=$host(127.0.0.1)"
        echo "SlurmctldPort=21799"
        echo "SlurmUser=root"
        echo "SlurmdUser=root"
        echo "StateSaveLocation=$root/controller"
        echo "SlurmdSpoolDir=$root/spool-%n"
        echo "SlurmctldPidFile=$root/run/controller.pid"
        echo "SlurmdPidFile=$root/run/%n.pid"
        echo "SlurmctldLogFile=$root/log/controller.log"
        echo "SlurmdLogFile=$root/log/%n.log"
        # Nothing that needs control groups or a database: the host may be a container.
        echo "ProctrackType=proctrack/linuxproc"
        echo "TaskPlugin=task/none"
        echo "JobAcctGatherType=jobacct_gather/none"
        echo "AccountingStorageType=accounting_storage/none"
        echo "MpiDefault=none"
        echo "SelectType=select/cons_tres"
        echo "SelectTypeParameters=CR_Core_Memory"
        # Both daemons see the whole host; what stands here is what each node has.
        echo "SlurmdParameters=config_overrides"
        echo "ReturnToService=2"
        echo "GresTypes=gpu"
        echo "PreemptType=preempt/partition_prio"
        echo "PreemptMode=REQUEUE"
        echo "JobRequeue=1"
        echo "KillWait=20"
        echo "MinJobAge=3600"
        echo "SchedulerParameters=sched_interval=2,bf_interval=2"
        for node in "${nodes[@]}"; do
            echo "NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port++)) CPUs=$cores RealMemory=$memory Gres=gpu:1"
        done
        echo "PartitionName=main Nodes=ALL Default=YES PriorityTier=1 MaxTime=INFINITE"
        echo "PartitionName=urgent Nodes=ALL PriorityTier=9 PreemptMode=OFF MaxTime=INFINITE"
    } > "$config"
    for node in "${nodes[@]}"; do echo "NodeName=$node Name=gpu File=/dev/null"; done > "$root/gres.conf"
    echo "CgroupPlugin=autodetect" > "$root/cgroup.conf"
    # Inside a job Snakemake drops SLURM's variables: its programs look where Debian put their configuration.
    mkdir -p /etc/slurm
    for name in slurm gres cgroup; do
        if [ -e "/etc/slurm/$name.conf" ] && [ "$(readlink "/etc/slurm/$name.conf")" != "$root/$name.conf" ]; then
            give_up "/etc/slurm/$name.conf belongs to another cluster; this one would take its place"
        fi
        ln -sfn "$root/$name.conf" "/etc/slurm/$name.conf"
    done
}

start() {
    [ "$(id -u)" = 0 ] || give_up "only root can start SLURM's daemons"
    install_packages
    if [ -n "$left" ]; then SLURM_ROOT=$left "$0" stop; fi
    start_munge
    write_config
    slurmctld -f "$config" || fail "slurmctld does not start"
    for node in "${nodes[@]}"; do slurmd -f "$config" -N "$node" || fail "slurmd does not start"; done
    wait_for "the cluster" "[ \$(sinfo -h -N -p main -t idle -o %N | wc -l) = ${#nodes[@]} ]"
    sinfo -N -p main -o "%N %T %c processors %m MB %G"
}

stop() {
    if [ -f "$config" ]; then scancel --user="$(id -un)" 2>/dev/null || true; fi
    local pid daemons=()
    for pid in "$root"/run/*.pid; do
        if [ -f "$pid" ]; then daemons+=("$(cat "$pid")"); fi
    done
    # The controller writes its state before it ends.
    for pid in "${daemons[@]}"; do
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    done
    # With a configuration and no daemon every later call of snakemake would wait for the controller.
    for name in slurm gres cgroup; do
        if [ "$(readlink "/etc/slurm/$name.conf")" = "$root/$name.conf" ]; then rm "/etc/slurm/$name.conf"; fi
    done
    rm -rf "$root"
}

kill_tree() {
    local child
    for child in $(pgrep -P "$1"); do kill_tree "$child"; done
    kill -KILL "$1" 2>/dev/null || true
}

# As when a node's power fails: its daemon and every process of its jobs are gone at once.
lose() {
    local job pid
    local running
    running=$(squeue -h -w "$1" -t running -o %A)
    kill -KILL "$(cat "$root/run/$1.pid")"
    for job in $running; do
        for pid in $(pgrep -f "slurmstepd: \[$job\."); do kill_tree "$pid"; done
    done
    scontrol update "NodeName=$1" State=DOWN Reason=lost
}

# The node comes back.
find_again() {
    slurmd -f "$config" -N "$1"
    wait_for "node $1" "[ \$(sinfo -h -n $1 -p main -t idle -o %N | wc -l) = 1 ]"
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    lose) lose "${2:?a node: left or right}" ;;
    find) find_again "${2:?a node: left or right}" ;;
    status) sinfo -N -l; squeue ;;
    *) fail "use: $0 start|stop|status, or lose|find left|right" ;;
esac
