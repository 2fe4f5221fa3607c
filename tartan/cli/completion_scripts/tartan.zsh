# Completion of `tartan` and `python -m tartan` for zsh. Add this to ~/.zshrc, after compinit:
#   eval "$(tartan completion zsh)"

_tartan_words() {  # what was typed after the program, then the program's words
    local typed=$1 word
    local -a found
    shift
    found=("${(@f)$("$@" completion --words "$typed" 2>/dev/null)}")
    for word in $found; do
        case $word in
            (*[=.,]|*\[*) compadd -Q -S '' -- "$word" ;;
            (?*) compadd -Q -- "$word" ;;
        esac
    done
    (( $#found )) && [[ -n $found[1] ]] || _files
}

_tartan() {
    _tartan_words "${(j: :)words[2,CURRENT-1]:+${(j: :)words[2,CURRENT-1]} }$PREFIX" "$words[1]"
}

_tartan_python() {
    if [[ $words[2] == -m && $words[3] == tartan ]] && (( CURRENT > 3 )); then
        _tartan_words "${(j: :)words[4,CURRENT-1]:+${(j: :)words[4,CURRENT-1]} }$PREFIX" \
            "$words[1]" -m tartan
    elif (( $+functions[_python] )); then
        _python "$@"
    else
        _default "$@"
    fi
}

autoload -Uz _python 2>/dev/null
compdef _tartan tartan
compdef _tartan_python python python3
