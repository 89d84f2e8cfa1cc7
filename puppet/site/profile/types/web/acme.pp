# @summary Who issues certificates (RFC 8555), and to which account.
#
# * `directory`: URL of the authority's directory
# * `authority`: root certificates, PEM, for that URL; those of the system where there are none
# * `thumbprint`: of the account's key (RFC 7638); with it anybody answers for the account
type Profile::Web::Acme = Struct[{
    directory           => Stdlib::HTTPSUrl,
    Optional[authority] => String[1],
    thumbprint          => Pattern[/\A[A-Za-z0-9_-]{43}\z/],
}]
