# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# perftest between the two hosts: the server in hostb, the client in hosta.

# the addresses that the queue pairs use; the programs meet over IPv4 always
server_addr=10.0.0.2
client_addr=10.0.0.1
# what the programs are run by, e.g. as another user
run_by=()

# find_gid DEVICE ADDRESS: sets gid, which stays the same as long as the hosts do.
declare -A gids=()
find_gid()
{
	[ -n "${gids[$1 $2]-}" ] ||
		gids[$1 $2]=$(../lib/two_hosts.sh gid "$1" "$2") || return
	gid=${gids[$1 $2]}
}

# start_server LOG PROGRAM ARG...: sets server_pid, once the server listens.
start_server()
{
	local log=$1 gid

	shift
	find_gid rxe1 "$server_addr" || return
	ip netns exec hostb "${run_by[@]}" "$@" -d rxe1 -x "$gid" \
		>"$log" 2>&1 &
	server_pid=$!
	for _ in $(seq $((100 * ${LIMIT_FACTOR:-1}))); do
		[ -z "$(ip netns exec hostb ss -Hltn 'sport = 18515')" ] ||
			return 0
		kill -0 "$server_pid" 2>/dev/null || break
		sleep 0.1
	done
	kill "$server_pid" 2>/dev/null
	wait "$server_pid"
	return 1
}

# run_client PROGRAM ARG...: its output is ours
run_client()
{
	local gid

	find_gid rxe0 "$client_addr" || return
	timeout $((300 * ${LIMIT_FACTOR:-1})) ip netns exec hosta \
		"${run_by[@]}" "$@" -d rxe0 -x "$gid" 10.0.0.2
}

# end_server STATUS: when the client has ended so; the status of both
end_server()
{
	local status=$1

	[ "$status" -eq 0 ] || kill "$server_pid" 2>/dev/null
	wait "$server_pid" || status=$?
	return "$status"
}

# between LOG PROGRAM ARG...: LOG is of the server; the client's output is ours.
between()
{
	local log=$1 status=0

	shift
	start_server "$log" "$@" || return
	run_client "$@" || status=$?
	end_server "$status"
}
