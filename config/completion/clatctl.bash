# bash completion for clatctl.

_clatctl_ask() {
  clatctl ${_clatctl_socket:+-s "$_clatctl_socket"} "$@" 2>/dev/null
}

_clatctl_interfaces() {
  # Rows of the table, up to the empty line below it.
  _clatctl_ask status | sed -e 1d -e '/^$/,$d' -e 's/ .*//'
}

_clatctl_fields() {
  _clatctl_ask status --json "$1" | grep -o '"[a-z0-9_]*":' | tr -d '":' | sort -u
}

_clatctl() {
  local word=${COMP_WORDS[COMP_CWORD]} command='' iface='' _clatctl_socket='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -s | --socket) _clatctl_socket=${COMP_WORDS[++i]} ;;
      -*) ;;
      *) if [ -z "$command" ]; then command=${COMP_WORDS[i]}; else iface=${COMP_WORDS[i]}; fi ;;
    esac
  done
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    -s | --socket)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
  esac
  local choices=
  case $command in
    '') choices='status show explain events metrics check reload restart handover --socket --version --help' ;;
    status) choices="--json --healthy --watch ${iface:-$(_clatctl_interfaces)}" ;;
    explain) choices="--watch ${iface:-$(_clatctl_interfaces)}" ;;
    restart) [ -n "$iface" ] || choices=$(_clatctl_interfaces) ;;
    show) if [ -n "$iface" ]; then choices=$(_clatctl_fields "$iface"); else choices=$(_clatctl_interfaces); fi ;;
    events) choices=--follow ;;
    metrics) choices=--http ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
}

complete -F _clatctl clatctl
