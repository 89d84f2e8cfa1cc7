-- Managed by Puppet.
-- Lets the requests to a site wait while its data moves from one host to another. Nobody waits for
-- ever: after LIMIT the request goes where the site has been.
local LIMIT, PAUSE = 20000, 10

local origins = Map.new("/var/lib/fleet-web/origins.map", Map._str)

core.register_action("wait_while_held", { "http-req" }, function(txn)
    local site = txn:get_var("txn.site")
    local waited = 0
    while origins:lookup(site) == "held" and waited < LIMIT do
        core.msleep(PAUSE)
        waited = waited + PAUSE
    end
end, 0)
