# SPDX-License-Identifier: MIT
# Completion of postern(1) for bash. It reads commands, their words and options from `postern --help` and
# `postern COMMAND --help`, which the program generates from its tables.

_postern_commands() {
	"$1" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'
}

# What may follow the command: user add, user list, …
_postern_words() {
	"$1" "$2" --help 2>/dev/null | sed -n "/^Options:/q; s/^\(usage:\|      \) postern $2 \([a-z][a-z-]*\).*/\2/p" | sort -u
}

# --name, and behind a blank the name of its value if it has one.
_postern_options() {
	"$1" "$2" --help 2>/dev/null | sed -n 's/^  \(-[a-z0-9-]*\)\( \([A-Z:]*\)\)\{0,1\}\( .*\)\{0,1\}$/\1 \3/p'
}

_postern() {
	local program=$1 word=$2 before=$3 command=${COMP_WORDS[1]} value
	COMPREPLY=()
	# Bash splits words at colons, and would complete the part after a colon as a word of its own.
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_postern_commands "$program") --help --version" -- "$word")
		return
	fi
	value=$(_postern_options "$program" "$command" | sed -n "s/^$before \(..*\)/\1/p")
	case $value in
	FILE | CONNINFO)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	DIR)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	KIND)
		mapfile -t COMPREPLY < <(compgen -W 'dump base' -- "$word")
		return
		;;
	LEVEL)
		mapfile -t COMPREPLY < <(compgen -W 'error warn info debug trace' -- "$word")
		return
		;;
	?*) return ;;
	esac
	case $word in
	-*) mapfile -t COMPREPLY < <(compgen -W "$(_postern_options "$program" "$command" | cut -d ' ' -f 1)" -- "$word") ;;
	*)
		if [ "$command" = backup ] || [ "$command" = restore ]; then
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
			return
		fi
		[ "$COMP_CWORD" -ne 2 ] || mapfile -t COMPREPLY < <(compgen -W "$(_postern_words "$program" "$command")" -- "$word")
		;;
	esac
}

complete -F _postern postern
