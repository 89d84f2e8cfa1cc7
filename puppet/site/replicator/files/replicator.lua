-- Managed by Puppet.
-- Dovecot's push_notification runs this in the process that has changed a mailbox. What it leaves
-- in the spool, a file named after the user, says that the user's mail is to be synced. Which folder
-- was thrown away, and which is subscribed to no more, it says in events, which Dovecot exports to the
-- replicator.

local spool, changes

-- Dovecot's log of what was made, renamed and thrown away is put aside when it has 4,096 bytes, and a
-- process that still has it open then overwrites what was put aside with each line: syncs do not see
-- what was thrown away, and bring it back. Half of that is put aside here; nobody gets to the whole in
-- the minute until every process opens it anew (mailbox-log.c, Dovecot 2.4.1).
local HALF <const> = 2048

-- A line of it: what happened, three bytes of nothing, the folder's GUID, when (mailbox-log.h).
local LINE <const> = 24
local DELETED <const> = 1
-- Nobody writes more of them between a folder's end and the look for it.
local LINES <const> = 16

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
dovecot_lua_notify_event_mailbox_create = noticed
dovecot_lua_notify_event_mailbox_rename = noticed

-- Tells the replicator something of a user's folders.
local function tell(name, user, about)
  local event = dovecot.event()
  event:set_name("replicator_" .. name)
  event:add_str("user", user.username)
  for field, value in pairs(about) do
    event:add_str(field, value)
  end
  event:log_debug(name)
end

function dovecot_lua_notify_event_mailbox_subscribe(user, event)
  tell("subscribed", user, { folder = event.mailbox })
end

function dovecot_lua_notify_event_mailbox_unsubscribe(user, event)
  tell("unsubscribed", user, { folder = event.mailbox })
end

-- Adds the ends of folders that a log says last: when, and the GUID.
local function ends(path, found)
  local log = io.open(path, "rb")
  if log == nil then
    return
  end
  local size = log:seek("end")
  log:seek("set", math.max(0, size - size % LINE - LINES * LINE))
  for line in log:lines(LINE) do
    if #line == LINE and line:byte() == DELETED then
      local guid = line:sub(5, 20):gsub(".", function(c) return string.format("%02x", c:byte()) end)
      table.insert(found, { at = string.unpack(">I4", line, 21), guid = guid })
    end
  end
  log:close()
end

-- It is in the log, or in what was put aside of it, before this is called (notify-storage.c,
-- index-storage.c). What ended before has nothing to do with it: it may be there again.
function dovecot_lua_notify_event_mailbox_delete(user, _)
  local found, last, folders = {}, 0, ""
  ends(user.home .. "/" .. changes .. ".2", found)
  ends(user.home .. "/" .. changes, found)
  for _, one in ipairs(found) do
    last = math.max(last, one.at)
  end
  for _, one in ipairs(found) do
    if one.at == last then
      folders = folders .. one.guid .. " "
    end
  end
  tell("folder_gone", user, { folders = folders })
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
