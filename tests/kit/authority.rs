//! A certificate authority of a test, and certificates of it for 127.0.0.1.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd,
};

/// A CA of our own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(crate) struct Pem {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("signed"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> rustls::pki_types::CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate that may have an URI as a second name.
    pub(crate) fn leaf(&self, uri: Option<&str>) -> Pem {
        let mut params = for_loopback();
        if let Some(uri) = uri {
            let uri = uri.try_into().expect("an URI");
            params.subject_alt_names.push(SanType::URI(uri));
        }
        self.signed(&params)
    }

    /// A certificate for a name.
    pub(crate) fn leaf_for(&self, name: &str) -> Pem {
        self.signed(&CertificateParams::new(vec![name.to_owned()]).expect("a name"))
    }

    /// A certificate whose time ends with this year's start.
    pub(crate) fn leaf_until(&self, year: i32) -> Pem {
        let mut params = for_loopback();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        self.signed(&params)
    }

    fn signed(&self, params: &CertificateParams) -> Pem {
        let key = KeyPair::generate().expect("a key");
        let leaf = params.clone().signed_by(&key, &self.0).expect("signed");
        Pem {
            certificate: leaf.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn for_loopback() -> CertificateParams {
    CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address")
}
