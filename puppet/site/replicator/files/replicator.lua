-- Managed by Puppet.
-- Dovecot's push_notification runs this in the process that has changed a mailbox. What it leaves
-- in the spool, a file named after the user, says that the user's mail is to be synced.

local spool

function script_init(settings)
  spool = settings.spool
  return 0
end

function dovecot_lua_notify_begin_txn(user)
  return user.username
end

-- Dovecot begins a transaction only for events that somebody listens to.
local function noticed()
end

dovecot_lua_notify_event_message_new = noticed
dovecot_lua_notify_event_message_append = noticed
dovecot_lua_notify_event_message_expunge = noticed
dovecot_lua_notify_event_message_read = noticed
dovecot_lua_notify_event_message_trash = noticed
dovecot_lua_notify_event_flags_set = noticed
dovecot_lua_notify_event_flags_clear = noticed
dovecot_lua_notify_event_mailbox_create = noticed
dovecot_lua_notify_event_mailbox_delete = noticed
dovecot_lua_notify_event_mailbox_rename = noticed
dovecot_lua_notify_event_mailbox_subscribe = noticed
dovecot_lua_notify_event_mailbox_unsubscribe = noticed

-- After the commit, so that a sync that begins now finds the change. Opened for writing and
-- closed: what the replicator waits for.
function dovecot_lua_notify_end_txn(username)
  local name = username:gsub("[^%w@_+.-]", function(c) return string.format("%%%02X", c:byte()) end)
  name = name:gsub("^%.", "%%2E")
  local marker, why = io.open(spool .. "/" .. name, "w")
  if marker == nil then
    dovecot.i_error("replicator: " .. why)
    return
  end
  marker:close()
end
