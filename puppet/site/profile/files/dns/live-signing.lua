-- Managed by Puppet.
-- Transfers come with the signatures of the server that made them. This one has the same key and
-- makes its own: it could not sign what it computes otherwise (PowerDNS takes a zone that comes
-- with signatures for one that is signed elsewhere, and answers nothing for records of type LUA).
local made_by_signing = {
  [pdns.RRSIG] = true, [pdns.NSEC] = true, [pdns.NSEC3] = true, [pdns.NSEC3PARAM] = true,
  [pdns.DNSKEY] = true, [pdns.CDS] = true, [pdns.CDNSKEY] = true,
}

function axfrfilter(remote, zone, record)
  if made_by_signing[record:qtype()] then
    return 0, {}
  end
  return -1, {}
end
