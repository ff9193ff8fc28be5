//! Who trades in the simulated city: industries with their prices and hours, and invented merchants.

use ykt_base::Fen;

/// An industry (行业): its code in files, what a ride or a meal costs there, and when people come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Industry {
    /// Two-digit industry code of the files (`clearing.md` 2.1).
    pub code: u8,
    /// Lowest and highest price in fen.
    pub price: (u32, u32),
    /// Prices are multiples of this many fen.
    pub price_step: u32,
    /// How many people come in each hour of the day, relative to the other hours.
    pub hours: [u16; 24],
    /// Commission (佣金) the company takes, parts per million.
    pub commission_ppm: u32,
}

/// A merchant's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shop {
    /// Chinese name.
    pub name_zh: &'static str,
    /// English name.
    pub name_en: &'static str,
    /// Its industry.
    pub industry: Industry,
}

const COMMUTE: [u16; 24] = [0, 0, 0, 0, 0, 2, 10, 26, 20, 8, 5, 6, 8, 6, 5, 6, 10, 24, 20, 10, 6, 4, 2, 0];
const MEALS: [u16; 24] = [0, 0, 0, 0, 0, 0, 6, 14, 8, 2, 2, 22, 28, 8, 2, 2, 4, 16, 18, 8, 4, 2, 0, 0];
const SHOPPING: [u16; 24] =
    [0, 0, 0, 0, 0, 0, 0, 2, 4, 8, 12, 12, 10, 8, 10, 12, 12, 14, 16, 16, 14, 8, 2, 0];

const BUS: Industry =
    Industry { code: 1, price: (200, 200), price_step: 100, hours: COMMUTE, commission_ppm: 8_000 };
const METRO: Industry =
    Industry { code: 2, price: (300, 900), price_step: 100, hours: COMMUTE, commission_ppm: 8_000 };
const FERRY: Industry =
    Industry { code: 3, price: (200, 400), price_step: 100, hours: COMMUTE, commission_ppm: 8_000 };
const TAXI: Industry =
    Industry { code: 4, price: (1_100, 4_600), price_step: 50, hours: SHOPPING, commission_ppm: 6_000 };
const PARKING: Industry =
    Industry { code: 5, price: (500, 3_000), price_step: 500, hours: SHOPPING, commission_ppm: 10_000 };
const RETAIL: Industry =
    Industry { code: 6, price: (350, 8_800), price_step: 1, hours: SHOPPING, commission_ppm: 10_000 };
const CANTEEN: Industry =
    Industry { code: 7, price: (600, 2_500), price_step: 10, hours: MEALS, commission_ppm: 5_000 };
const PARK: Industry =
    Industry { code: 8, price: (500, 2_000), price_step: 500, hours: SHOPPING, commission_ppm: 9_000 };

/// The invented merchants; a larger city numbers them on.
pub const SHOPS: [Shop; 20] = [
    Shop { name_zh: "临江公交集团", name_en: "Linjiang Bus Group", industry: BUS },
    Shop { name_zh: "临江轨道交通", name_en: "Linjiang Metro", industry: METRO },
    Shop { name_zh: "东港轮渡公司", name_en: "East Harbour Ferries", industry: FERRY },
    Shop { name_zh: "蓝天出租汽车", name_en: "Blue Sky Taxis", industry: TAXI },
    Shop { name_zh: "城北公交公司", name_en: "North City Buses", industry: BUS },
    Shop { name_zh: "中心广场停车场", name_en: "Central Square Parking", industry: PARKING },
    Shop { name_zh: "万家便利连锁", name_en: "Wanjia Convenience", industry: RETAIL },
    Shop { name_zh: "第一中学食堂", name_en: "First Middle School Canteen", industry: CANTEEN },
    Shop { name_zh: "人民医院食堂", name_en: "People's Hospital Canteen", industry: CANTEEN },
    Shop { name_zh: "新华书店", name_en: "New China Bookshop", industry: RETAIL },
    Shop { name_zh: "江心公园", name_en: "River Isle Park", industry: PARK },
    Shop { name_zh: "好邻居超市", name_en: "Good Neighbour Supermarket", industry: RETAIL },
    Shop { name_zh: "大学城食堂", name_en: "University Town Canteen", industry: CANTEEN },
    Shop { name_zh: "机场停车场", name_en: "Airport Parking", industry: PARKING },
    Shop { name_zh: "晨光面包房", name_en: "Morning Light Bakery", industry: RETAIL },
    Shop { name_zh: "西站长途客运", name_en: "West Station Coaches", industry: METRO },
    Shop { name_zh: "碧水动物园", name_en: "Clearwater Zoo", industry: PARK },
    Shop { name_zh: "康泰药房", name_en: "Kangtai Pharmacy", industry: RETAIL },
    Shop { name_zh: "软件园食堂", name_en: "Software Park Canteen", industry: CANTEEN },
    Shop { name_zh: "红枫出租汽车", name_en: "Red Maple Taxis", industry: TAXI },
];

/// Shop number `index` of a city of any size, with its names made unique from the second round on.
#[must_use]
pub fn shop(index: usize) -> (String, String, Industry) {
    let round = index.checked_div(SHOPS.len()).unwrap_or(0);
    let place = index.checked_rem(SHOPS.len()).unwrap_or(0);
    let shop = SHOPS.get(place).copied().unwrap_or(SHOPS[0]);
    if round == 0 {
        return (shop.name_zh.to_owned(), shop.name_en.to_owned(), shop.industry);
    }
    let number = round.saturating_add(1);
    (format!("{}{number}", shop.name_zh), format!("{} {number}", shop.name_en), shop.industry)
}

impl Industry {
    /// Price number `draw` of this industry's range, wrapping round.
    #[must_use]
    pub fn price_at(&self, draw: u32) -> Fen {
        let (low, high) = self.price;
        let steps = high.saturating_sub(low).checked_div(self.price_step).unwrap_or(0);
        let step = draw.checked_rem(steps.saturating_add(1)).unwrap_or(0);
        Fen::from(low.saturating_add(step.saturating_mul(self.price_step)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_stay_in_their_range() {
        for shop in SHOPS {
            let (low, high) = shop.industry.price;
            for draw in (0..20_000).step_by(7) {
                let price = shop.industry.price_at(draw).fen();
                assert!(i64::from(low) <= price && price <= i64::from(high));
            }
        }
        assert_eq!(shop(21).1, "Linjiang Metro 2");
    }
}
