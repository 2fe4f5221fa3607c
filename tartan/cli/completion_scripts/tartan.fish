# Completion of `tartan` and `python -m tartan` for fish. Run once:
#   tartan completion fish > ~/.config/fish/completions/tartan.fish
# and for `python -m tartan` also add to ~/.config/fish/config.fish:
#   tartan completion fish | source

function __tartan_words
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    if test "$words[1]" = tartan
        tartan completion --words (string join ' ' -- $words[2..-1] $current) 2>/dev/null
    else
        $words[1] -m tartan completion --words (string join ' ' -- $words[4..-1] $current) 2>/dev/null
    end
end

function __tartan_is_module
    set -l words (commandline -opc)
    test (count $words) -ge 3; and test "$words[2]" = -m; and test "$words[3]" = tartan
end

complete -c tartan -f -a '(__tartan_words)'
for python in python python3
    complete -c $python -n __tartan_is_module -f -a '(__tartan_words)'
end
