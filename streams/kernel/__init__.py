"""The compiled kernel (编译内核): windows and rules of single objects at a rate that interpreted code cannot reach, with the same answers.

It runs what `placement` says it can, object by object; everything else is the readable engine's (`streams.pipeline`), and so is, from then
on, an object to which anything out of the ordinary happens (`handover`). What one engine says of an object the other says too: the tests
hold them equal.

    conditions, placement   what of a rule set fits into tables, and why not
    tables                  a rule set as arrays
    layout                  the arrays, documented
    jit, fixed, scale       compiled: bits, exact sums, positions in time
    rooms, cells, judge     compiled: memory, windows, rules
    run                     compiled: one signal after another
    classes                 which indicators a signal feeds, learnt from the expressions themselves
    engine                  the kernel as an object: feed, grow, snapshot, restore
"""
