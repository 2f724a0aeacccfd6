#!/bin/sh
# shellcheck shell=dash disable=SC1091,SC2034,SC2154  # OpenWrt's files, and variables of theirs
# netifd's protocol `clatvisor`: the CLAT of an uplink as an interface, for firewall zones, mwan3 and the like. clatvisor makes
# device, address and route; this tells netifd of them.

[ -n "$INCLUDE_ONLY" ] || {
	. /lib/functions.sh
	. ../netifd-proto.sh
	init_proto "$@"
}

proto_clatvisor_init_config() {
	# There is no device to claim: clatvisor makes it, and removes it.
	no_device=1
	available=1
	proto_config_add_string "uplink"
	proto_config_add_string "zone"
}

proto_clatvisor_setup() {
	local interface="$1" uplink zone tun
	json_get_vars uplink zone

	if [ -z "$uplink" ]; then
		proto_notify_error "$interface" NO_UPLINK
		proto_block_restart "$interface"
		return
	fi
	# None yet: the interface of the uplink is not up. netifd tries again.
	tun=$(/usr/libexec/clatvisor/uci-to-yaml tun "$uplink") || {
		proto_notify_error "$interface" NO_WAN_LINK
		proto_setup_failed "$interface"
		return
	}
	proto_export "INTERFACE=$interface"
	proto_export "ZONE=$zone"
	# shellcheck disable=SC2086  # words are wanted
	proto_run_command "$interface" /usr/libexec/clatvisor/netifd-follow $tun
}

proto_clatvisor_teardown() {
	proto_kill_command "$1"
}

[ -n "$INCLUDE_ONLY" ] || add_protocol clatvisor
