-- Managed by Puppet.
-- Dovecot's push_notification runs this in the process that has changed a mailbox. What it leaves
-- in the spool, a file named after the user, says that the user's mail is to be synced. Which folder
-- was made or thrown away it says in an event, which Dovecot exports to the replicator.

local spool, changes

-- Dovecot's log of what was made, renamed and thrown away is put aside when it has 4,096 bytes, and a
-- process that still has it open then overwrites what was put aside with each line: syncs do not see
-- what was thrown away, and bring it back. Half of that is put aside here; nobody gets to the whole in
-- the minute until every process opens it anew (mailbox-log.c, Dovecot 2.4.1).
local HALF <const> = 2048

function script_init(settings)
  spool, changes = settings.spool, settings.changes
  return 0
end

function dovecot_lua_notify_begin_txn(user)
  return user
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
dovecot_lua_notify_event_mailbox_rename = noticed
dovecot_lua_notify_event_mailbox_subscribe = noticed
dovecot_lua_notify_event_mailbox_unsubscribe = noticed

local function tell(what, user, folder)
  local event = dovecot.event()
  event:set_name(what)
  event:add_str("user", user.username)
  event:add_str("folder", folder)
  event:add_int("at", os.time())
  event:log_debug(what .. ": " .. folder)
end

function dovecot_lua_notify_event_mailbox_create(user, event)
  tell("replicator_folder_made", user, event.mailbox)
end

function dovecot_lua_notify_event_mailbox_delete(user, event)
  tell("replicator_folder_gone", user, event.mailbox)
end

local function exists(path)
  local file = io.open(path)
  return file ~= nil and file:close()
end

-- What was put aside before is lost by that, so it must have been synced: then there is no marker.
local function put_aside(home, marker, busy)
  local log = io.open(home .. "/" .. changes)
  if log == nil then
    return
  end
  local size = log:seek("end")
  log:close()
  if size >= HALF and not exists(marker) and not exists(busy) then
    os.rename(home .. "/" .. changes, home .. "/" .. changes .. ".2")
  end
end

-- After the commit, so that a sync that begins now finds the change. Opened for writing and
-- closed: what the replicator waits for.
function dovecot_lua_notify_end_txn(user)
  local name = user.username:gsub("[^%w@_+.-]", function(c) return string.format("%%%02X", c:byte()) end)
  name = name:gsub("^%.", "%%2E")
  local path = spool .. "/" .. name
  put_aside(user.home, path, spool .. "/.busy-" .. name)
  local marker, why = io.open(path, "w")
  if marker == nil then
    dovecot.i_error("replicator: " .. why)
    return
  end
  marker:close()
end
