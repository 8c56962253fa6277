# Rivals besides PgBouncer: HAProxy and pgpool-II from the distribution, and whatever --rival names.
# Sourced by run.sh.
# shellcheck shell=bash

# The most clients of those that open a server connection for each.
RIVAL_CLIENTS=540

ensure_haproxy() {
    HAPROXY=$(PATH=$PATH:/usr/sbin command -v haproxy) ||
        { without_services apt_install haproxy && HAPROXY=/usr/sbin/haproxy; }
    note_version "HAProxy $("$HAPROXY" -v | sed -nE '1s/^HAProxy version ([0-9.]+).*/\1/p')"
}

# TCP mode, the limit of a blind relay: a server connection for each client, no login of its own,
# and TLS that ends in PostgreSQL.
start_haproxy() {
    local name=$1
    cat >"$WORK/$name/haproxy.cfg" <<END
global
    maxconn $RIVAL_CLIENTS
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:${PORT[$name]}
    server postgres 127.0.0.1:${PORT[direct]}
END
    start "$name" "$HAPROXY" -db -f "$WORK/$name/haproxy.cfg"
}

ensure_pgpool() {
    PGPOOL=$(PATH=$PATH:/usr/sbin command -v pgpool) ||
        { without_services apt_install pgpool2 && PGPOOL=/usr/sbin/pgpool; }
    note_version "pgpool-II $("$PGPOOL" --version 2>&1 | sed -nE 's/^pgpool-II version ([0-9.]+).*/\1/p')"
}

# Its connection pool and nothing else: neither load balancing nor checks of the server, and no
# look into statements that only those need. What cannot be as with the others:
# * a process, and with it a server connection, for each client at a time; with 20 of them the 21st
#   client would wait until another leaves. So there are as many as clients, and no more than that:
#   each keeps its server connection;
# * its own SCRAM on both sides needs the password itself.
start_pgpool() {
    local name=$1 children=$POOL_SIZE
    ((children >= 40)) || children=40
    [[ $name != *.fresh ]] || children=$RIVAL_CLIENTS
    echo 'bench:TEXTbench' >"$WORK/$name/pool_passwd"
    echo 'host all all 127.0.0.1/32 scram-sha-256' >"$WORK/$name/pool_hba.conf"
    # serialize_accept and child_life_time: what its manual advises for many processes.
    cat >"$WORK/$name/pgpool.conf" <<END
backend_clustering_mode = 'raw'
backend_hostname0 = '127.0.0.1'
backend_port0 = ${PORT[direct]}
backend_flag0 = 'DISALLOW_TO_FAILOVER'
listen_addresses = '127.0.0.1'
port = ${PORT[$name]}
unix_socket_directories = '$WORK/$name'
socket_dir = '$WORK/$name'
pcp_listen_addresses = ''
pcp_port = $(free_port)
pcp_socket_dir = '$WORK/$name'
wd_ipc_socket_dir = '$WORK/$name'
pid_file_name = '$WORK/$name/pid'
logdir = '$WORK/$name'
work_dir = '$WORK/$name'
num_init_children = $children
reserved_connections = 0
max_pool = 1
listen_backlog_multiplier = 2
serialize_accept = on
child_life_time = 0
child_max_connections = 0
connection_life_time = 0
client_idle_limit = 0
connection_cache = on
load_balance_mode = off
statement_level_load_balance = off
memory_cache_enabled = off
health_check_period = 0
sr_check_period = 0
use_watchdog = off
enable_pool_hba = on
pool_passwd = 'pool_passwd'
allow_clear_text_frontend_auth = off
ssl = on
ssl_cert = '$WORK/pooler.crt'
ssl_key = '$WORK/pooler.key'
log_connections = off
log_disconnections = off
log_min_messages = error
END
    start "$name" "$PGPOOL" -n -f "$WORK/$name/pgpool.conf" -a "$WORK/$name/pool_hba.conf"
}

# The poolers of --rival, in RIVALS.
check_rivals() {
    local pair template
    for pair in ${RIVALS[@]+"${RIVALS[@]}"}; do
        [[ $pair =~ ^[a-zA-Z0-9._-]+=.+$ ]] || fail "--rival wants NAME=COMMAND, not $pair"
        template=$(sed -nE 's/.*\{config:([^}]*)\}.*/\1/p' <<<"$pair")
        [[ -z $template || -r $template ]] || fail "--rival ${pair%%=*}: no file $template"
    done
}

# start_rival NAME COMMAND: with its placeholders filled in, and those in its {config:FILE}.
start_rival() {
    local name=$1 command=$2 template words
    template=$(sed -nE 's/.*\{config:([^}]*)\}.*/\1/p' <<<"$command")
    if [[ -n $template ]]; then
        fill_in "$name" <"$template" >"$WORK/$name/${template##*/}"
        command=${command//"{config:$template}"/"$WORK/$name/${template##*/}"}
    fi
    read -ra words <<<"$(fill_in "$name" <<<"$command")"
    start "$name" "${words[@]}"
}

fill_in() {
    sed -e "s|{port}|${PORT[$1]}|g" -e "s|{server_port}|${PORT[direct]}|g" \
        -e "s|{folder}|$WORK/$1|g" -e "s|{userlist}|$WORK/userlist.txt|g" \
        -e "s|{certificate}|$WORK/pooler.crt|g" -e "s|{key}|$WORK/pooler.key|g" \
        -e "s|{user}|bench|g" -e "s|{password}|bench|g" -e "s|{database}|bench|g" \
        -e "s|{pool_size}|$POOL_SIZE|g" -e "s|{pool_mode}|$POOL_MODE|g" \
        -e "s|{max_clients}|$MAX_CLIENTS|g"
}
