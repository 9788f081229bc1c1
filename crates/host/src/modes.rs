//! Terminal modes as SSH names them (RFC 4254 §8, RFC 8160), put into a termios.

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios,
};

/// Puts the client's modes into a terminal's. What Linux does not have, or SSH does not name, is passed over.
pub(crate) fn apply(termios: &mut Termios, modes: &[(u8, u32)]) {
    for &(opcode, value) in modes {
        let on = value != 0;
        if let Some(index) = special(opcode) {
            // 255 means that no key does it (RFC 4254 §8); Linux writes 0 for that.
            let key = u8::try_from(value).unwrap_or(u8::MAX);
            termios.special_codes[index] = if key == u8::MAX { 0 } else { key };
        } else if let Some(flag) = input(opcode) {
            termios.input_modes.set(flag, on);
        } else if let Some(flag) = local(opcode) {
            termios.local_modes.set(flag, on);
        } else if let Some(flag) = output(opcode) {
            termios.output_modes.set(flag, on);
        } else {
            control(termios, opcode, value);
        }
    }
    character_size(termios, modes);
}

fn special(opcode: u8) -> Option<SpecialCodeIndex> {
    Some(match opcode {
        1 => SpecialCodeIndex::VINTR,
        2 => SpecialCodeIndex::VQUIT,
        3 => SpecialCodeIndex::VERASE,
        4 => SpecialCodeIndex::VKILL,
        5 => SpecialCodeIndex::VEOF,
        6 => SpecialCodeIndex::VEOL,
        7 => SpecialCodeIndex::VEOL2,
        8 => SpecialCodeIndex::VSTART,
        9 => SpecialCodeIndex::VSTOP,
        10 => SpecialCodeIndex::VSUSP,
        // 11 VDSUSP, 15 VFLUSH and 17 VSTATUS do not exist on Linux.
        12 => SpecialCodeIndex::VREPRINT,
        13 => SpecialCodeIndex::VWERASE,
        14 => SpecialCodeIndex::VLNEXT,
        16 => SpecialCodeIndex::VSWTC,
        18 => SpecialCodeIndex::VDISCARD,
        _ => return None,
    })
}

fn input(opcode: u8) -> Option<InputModes> {
    Some(match opcode {
        30 => InputModes::IGNPAR,
        31 => InputModes::PARMRK,
        32 => InputModes::INPCK,
        33 => InputModes::ISTRIP,
        34 => InputModes::INLCR,
        35 => InputModes::IGNCR,
        36 => InputModes::ICRNL,
        37 => InputModes::IUCLC,
        38 => InputModes::IXON,
        39 => InputModes::IXANY,
        40 => InputModes::IXOFF,
        41 => InputModes::IMAXBEL,
        42 => InputModes::IUTF8,
        _ => return None,
    })
}

fn local(opcode: u8) -> Option<LocalModes> {
    Some(match opcode {
        50 => LocalModes::ISIG,
        51 => LocalModes::ICANON,
        52 => LocalModes::XCASE,
        53 => LocalModes::ECHO,
        54 => LocalModes::ECHOE,
        55 => LocalModes::ECHOK,
        56 => LocalModes::ECHONL,
        57 => LocalModes::NOFLSH,
        58 => LocalModes::TOSTOP,
        59 => LocalModes::IEXTEN,
        60 => LocalModes::ECHOCTL,
        61 => LocalModes::ECHOKE,
        62 => LocalModes::PENDIN,
        _ => return None,
    })
}

fn output(opcode: u8) -> Option<OutputModes> {
    Some(match opcode {
        70 => OutputModes::OPOST,
        71 => OutputModes::OLCUC,
        72 => OutputModes::ONLCR,
        73 => OutputModes::OCRNL,
        74 => OutputModes::ONOCR,
        75 => OutputModes::ONLRET,
        _ => return None,
    })
}

fn control(termios: &mut Termios, opcode: u8, value: u32) {
    // A speed that cannot be set is no reason to refuse a terminal that has no line.
    let _ = match opcode {
        92 => {
            termios.control_modes.set(ControlModes::PARENB, value != 0);
            Ok(())
        }
        93 => {
            termios.control_modes.set(ControlModes::PARODD, value != 0);
            Ok(())
        }
        128 if value != 0 => termios.set_input_speed(value),
        129 if value != 0 => termios.set_output_speed(value),
        _ => Ok(()),
    };
}

/// CS7 (90) and CS8 (91) share bits, so they are looked at together; neither leaves the size as it is.
fn character_size(termios: &mut Termios, modes: &[(u8, u32)]) {
    let asked = |wanted: u8| modes.iter().any(|&(opcode, value)| opcode == wanted && value != 0);
    let size = if asked(91) {
        ControlModes::CS8
    } else if asked(90) {
        ControlModes::CS7
    } else {
        return;
    };
    termios.control_modes.remove(ControlModes::CSIZE);
    termios.control_modes.insert(size);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, openpt};
    use rustix::termios::tcgetattr;

    fn check(modes: &[(u8, u32)]) -> Termios {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        let mut termios = tcgetattr(&master).unwrap();
        apply(&mut termios, modes);
        termios
    }

    #[test]
    fn keys_flags_and_speeds_of_the_client_are_taken_over() {
        let termios =
            check(&[(1, 7), (2, 255), (53, 0), (42, 1), (72, 0), (128, 9600), (129, 38400)]);
        assert_eq!(termios.special_codes[SpecialCodeIndex::VINTR], 7);
        assert_eq!(termios.special_codes[SpecialCodeIndex::VQUIT], 0);
        assert!(!termios.local_modes.contains(LocalModes::ECHO));
        assert!(termios.input_modes.contains(InputModes::IUTF8));
        assert!(!termios.output_modes.contains(OutputModes::ONLCR));
        assert_eq!((termios.input_speed(), termios.output_speed()), (9600, 38400));
    }

    #[test]
    fn every_opcode_that_the_rfc_names_does_something_or_is_absent_on_linux() {
        let absent = [11, 15, 17];
        let named =
            (1..=18).chain(30..=42).chain(50..=62).chain(70..=75).chain(90..=93).chain(128..=129);
        for opcode in named.filter(|opcode| !absent.contains(opcode)) {
            let known = special(opcode).is_some()
                || input(opcode).is_some()
                || local(opcode).is_some()
                || output(opcode).is_some()
                || matches!(opcode, 90..=93 | 128 | 129);
            assert!(known, "opcode {opcode}");
        }
    }

    #[test]
    fn hostile_modes_change_nothing_and_break_nothing() {
        let plain = check(&[]);
        let odd = check(&[(0, 1), (11, 3), (200, u32::MAX), (255, 0), (128, 0), (129, 0)]);
        assert_eq!(format!("{plain:?}"), format!("{odd:?}"));
        check(&[(128, u32::MAX), (129, 1), (1, u32::MAX)]);
    }

    #[test]
    fn eight_bits_win_over_seven_because_clients_send_both() {
        assert!(check(&[(90, 1), (91, 1)]).control_modes.contains(ControlModes::CS8));
        let seven = check(&[(90, 1), (91, 0)]).control_modes & ControlModes::CSIZE;
        assert_eq!(seven, ControlModes::CS7);
    }
}
