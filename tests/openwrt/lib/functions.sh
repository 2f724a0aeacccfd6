# shellcheck shell=dash
# The documented interface of OpenWrt's /lib/functions.sh, as far as our scripts use it, written anew for these tests.
# $UCI/NAME holds a configuration as `uci export NAME` prints it, which a shell can read.
reset_cb() {
	config_cb() { :; }
	option_cb() { :; }
	list_cb() { :; }
}
reset_cb
sections='' number=0

package() { :; }
config() {
	number=$((number + 1))
	section=${2:-cfg$number}
	sections="$sections $section"
	eval "uci_${section}_TYPE=\$1"
	config_cb "$1" "$section"
}
option() {
	eval "uci_${section}_$1=\$2"
	option_cb "$1" "$2"
}
list() {
	eval "uci_${section}_$1=\"\${uci_${section}_$1:-}\${uci_${section}_$1:+ }\$2\""
	list_cb "$1" "$2"
}
config_load() {
	sections='' number=0
	# shellcheck disable=SC1090
	[ ! -e "$UCI/$1" ] || . "$UCI/$1"
	config_cb
}
config_get() { # VARIABLE SECTION OPTION DEFAULT
	eval "$1=\${uci_$2_$3:-\${4:-}}"
}
config_get_bool() {
	config_get "$@"
	eval "case \$$1 in 1 | on | true | yes | enabled) $1=1 ;; 0 | off | false | no | disabled) $1=0 ;; *) $1=\${4:-} ;; esac"
}
config_foreach() { # FUNCTION TYPE ARGUMENTS
	local each kind function=$1 wanted=$2
	shift 2
	for each in $sections; do
		config_get kind "$each" TYPE
		[ "$kind" != "$wanted" ] || "$function" "$each" "$@"
	done
}
