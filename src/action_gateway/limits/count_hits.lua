#!lua
-- Counts hits, each as `limits` counts one: `count_hit` is the script of that library, put before this one.
-- KEYS: of each hit those of the window before and of the current one.
-- ARGV: of each hit how many are allowed, the seconds of a window, and how many the hit counts for.
-- Returns 1 for each hit that is allowed and was counted, and 0 for each other.
local counted = {}
for hit = 1, #KEYS / 2 do
    local keys = {KEYS[2 * hit - 1], KEYS[2 * hit]}
    local arguments = {ARGV[3 * hit - 2], ARGV[3 * hit - 1], ARGV[3 * hit]}
    counted[hit] = count_hit(keys, arguments) and 1 or 0
end
return counted
