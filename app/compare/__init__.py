"""Which dropout suits a network and images: a study made from a few words, tried out, timed, run and reported."""
