# shellcheck shell=dash
# As above, of /lib/netifd/netifd-proto.sh: says what netifd would be told.
proto_init_update() { echo "update $1 up=$2 external=$3"; }
proto_add_ipv4_address() { echo "address $1/$2"; }
proto_add_data() { :; }
json_add_string() { echo "data $1=$2"; }
proto_close_data() { :; }
proto_send_update() { echo "sent for $1"; }
