# shellcheck shell=dash disable=SC2034  # eval reads it
# As above, of /lib/functions/network.sh. $UCI/devices holds lines: INTERFACE DEVICE.
network_flush_cache() { :; }
network_get_device() { # VARIABLE INTERFACE
	local line_interface line_device
	while read -r line_interface line_device; do
		if [ "$line_interface" = "$2" ]; then
			eval "$1=\$line_device"
			return 0
		fi
	done <"$UCI/devices"
	return 1
}
