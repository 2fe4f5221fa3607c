# Completion of `tartan` and `python -m tartan` for bash. Add this to ~/.bashrc:
#   eval "$(tartan completion bash)"

_tartan_words() {  # the program's words, then what was typed after it
    local typed=$1 current prefix word
    shift
    local IFS=$'\n'
    COMPREPLY=($("$@" completion --words "$typed" 2>/dev/null))
    # bash completes what follows the last break in a word, which = and : are unless quoted.
    current=${typed##* }
    if [[ $current != [\'\"]* && $COMP_WORDBREAKS == *=* && $current == *=* ]]; then
        prefix=${current%"${current##*=}"}
        COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    fi
    for word in "${COMPREPLY[@]}"; do
        [[ $word == *[=.,] || $word == *\[* ]] && compopt -o nospace 2>/dev/null
    done
}

_tartan() {
    local line=${COMP_LINE:0:COMP_POINT}
    _tartan_words "${line#*"${COMP_WORDS[0]}" }" "${COMP_WORDS[0]}"
}

_tartan_python() {
    local line=${COMP_LINE:0:COMP_POINT}
    if [[ ${COMP_WORDS[1]} == -m && ${COMP_WORDS[2]} == tartan && $COMP_CWORD -gt 2 ]]; then
        _tartan_words "${line#* tartan }" "${COMP_WORDS[0]}" -m tartan
    elif [[ -n $_tartan_before ]]; then
        "$_tartan_before" "$@"
    else
        compopt -o bashdefault -o default 2>/dev/null
    fi
}

# What completed python before goes on doing so.
declare -F _completion_loader >/dev/null && _completion_loader python 2>/dev/null
_tartan_before=$(complete -p python 2>/dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
[[ $_tartan_before == _tartan_python ]] && _tartan_before=
complete -o default -F _tartan tartan
complete -F _tartan_python python python3
